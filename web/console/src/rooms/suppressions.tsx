import { ActionIcon, Button, Select, TextInput } from '@mantine/core';
import { IconBan, IconPlus, IconTrash } from '@tabler/icons-react';
import { useInfiniteQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { api, must } from '../api/client';
import { q, queryClient } from '../api/queries';
import type { Suppression } from '../api/shapes';
import { ask, openForm, tell } from '../parts/ask';
import { Block, Empty, When } from '../parts/atoms';
import { FormBox } from '../parts/form';
import { Page } from '../parts/page';
import { type Column, PagedTable } from '../parts/table';
import { t } from '../texts';

const refresh = () => queryClient.invalidateQueries({ queryKey: ['suppressions'] });
const keyOf = (s: Suppression) => s.id ?? s.address ?? s.reason;
const nameOf = (s: Suppression) => s.address ?? t.suppressions.sealed;

function remove(s: Suppression) {
  ask({
    title: t.suppressions.removeTitle(nameOf(s)),
    text: t.suppressions.removeText,
    confirm: t.suppressions.remove,
    danger: true,
    act: async () => {
      await must(api.DELETE('/v1/suppressions/{id}', { params: { path: { id: keyOf(s) } } }));
      await refresh();
      tell(t.suppressions.removed);
    },
  });
}

function reasonOf(s: Suppression) {
  const reason = t.suppressions.reasons[s.reason] ?? s.reason;
  const whole = s.note ? t.suppressions.withNote(reason, s.note) : reason;
  return <span title={whole}>{whole}</span>;
}

const columns: Column<Suppression>[] = [
  { id: 'address', title: t.suppressions.address, lead: true, cell: (s) => <strong>{nameOf(s)}</strong> },
  {
    id: 'reason',
    title: t.suppressions.reason,
    grow: true,
    cell: (s) => reasonOf(s),
  },
  {
    id: 'until',
    title: t.suppressions.until,
    cell: (s) => <When at={s.until} none={t.suppressions.forever} />,
  },
  { id: 'created', title: t.common.created, cell: (s) => <When at={s.created_at} /> },
  {
    id: 'acts',
    title: t.common.actions,
    align: 'right',
    cell: (s) => (
      <ActionIcon
        variant="subtle"
        color="gray"
        onClick={() => remove(s)}
        aria-label={t.suppressions.removeTitle(nameOf(s))}
      >
        <IconTrash size={16} />
      </ActionIcon>
    ),
  },
];

export function Suppressions() {
  const query = useInfiniteQuery(q.suppressions);
  const add = () => openForm(t.suppressions.add, (close) => <AddSuppression close={close} />);
  return (
    <Page
      title={t.suppressions.title}
      lead={t.suppressions.lead}
      actions={
        <Button leftSection={<IconPlus size={16} />} onClick={add}>
          {t.suppressions.add}
        </Button>
      }
    >
      <Block flush>
        <PagedTable
          label={t.suppressions.table}
          query={query}
          columns={columns}
          rowKey={keyOf}
          empty={
            <Empty
              icon={<IconBan size={22} />}
              title={t.suppressions.empty}
              text={t.suppressions.emptyText}
            />
          }
        />
      </Block>
    </Page>
  );
}

type Reason = 'manual' | 'unsubscribe' | 'complaint' | 'hard_bounce';
const reasons = (['manual', 'unsubscribe', 'complaint', 'hard_bounce'] as Reason[]).map((value) => ({
  value,
  label: t.suppressions.reasons[value] ?? value,
}));

function AddSuppression({ close }: { close: () => void }) {
  const [address, setAddress] = useState('');
  const [reason, setReason] = useState<Reason>('manual');
  const [note, setNote] = useState('');
  const [until, setUntil] = useState('');
  const [tried, setTried] = useState(false);
  const badAddress = !/^[^\s@]+@[^\s@]+$/.test(address.trim());
  return (
    <FormBox
      submit={t.suppressions.add}
      cancel={close}
      onSubmit={() => {
        setTried(true);
        if (badAddress) return false;
        const body = {
          address: address.trim(),
          reason,
          ...(note.trim() && { note: note.trim() }),
          ...(until && { until: new Date(`${until}T00:00`).toISOString() }),
        };
        return must(api.POST('/v1/suppressions', { body })).then(async () => {
          await refresh();
          close();
          tell(t.suppressions.added);
        });
      }}
    >
      <TextInput
        label={t.suppressions.address}
        placeholder={t.suppressions.placeholder}
        type="email"
        value={address}
        onChange={(e) => setAddress(e.currentTarget.value)}
        error={tried && badAddress ? t.suppressions.needAddress : null}
        data-autofocus
      />
      <Select
        label={t.suppressions.reason}
        data={reasons}
        value={reason}
        onChange={(v) => setReason((v ?? 'manual') as Reason)}
      />
      <TextInput
        label={t.suppressions.note}
        placeholder={t.suppressions.notePlaceholder}
        value={note}
        onChange={(e) => setNote(e.currentTarget.value)}
      />
      <TextInput
        label={t.suppressions.until}
        description={t.suppressions.forever}
        type="date"
        value={until}
        onChange={(e) => setUntil(e.currentTarget.value)}
      />
    </FormBox>
  );
}
