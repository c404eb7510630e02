import { Alert, Button, Select, Text, Textarea } from '@mantine/core';
import { IconLockAccess, IconLockOpen } from '@tabler/icons-react';
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { api, must } from '../api/client';
import { q, queryClient } from '../api/queries';
import type { AccessGrant } from '../api/shapes';
import { may } from '../may';
import { ask, openForm, tell } from '../parts/ask';
import { Block, Empty, State, When } from '../parts/atoms';
import { FormBox } from '../parts/form';
import { useNames } from '../parts/names';
import { Page } from '../parts/page';
import { type Column, PagedTable } from '../parts/table';
import { t } from '../texts';

/** A grant opens and shuts rooms: everything that was loaded may look different after it. */
const refresh = () => queryClient.invalidateQueries();
const stateOf = (g: AccessGrant) => (g.live ? 'live' : g.ended_at ? 'given_back' : 'over');

function giveBack(g: AccessGrant) {
  ask({
    title: t.grants.end,
    text: t.grants.endText,
    confirm: t.grants.end,
    act: async () => {
      await must(api.POST('/v1/grants/{id}/end', { params: { path: { id: g.id } } }));
      await refresh();
      tell(t.grants.ended);
    },
  });
}

/** Who of the operator's people opened whose personal data; taking a grant and giving it back. */
export function Grants() {
  const session = useQuery(q.session).data;
  const takes = may(session, 'grants:take');
  const query = useInfiniteQuery(q.grants);
  const names = useNames();
  const columns: Column<AccessGrant>[] = [
    {
      id: 'reason',
      title: t.grants.reason,
      lead: true,
      wrap: true,
      cell: (g) => <strong>{g.reason}</strong>,
    },
    { id: 'state', title: t.common.state, cell: (g) => <State state={stateOf(g)} /> },
    { id: 'who', title: t.grants.who, wrap: true, cell: (g) => names.user(g.user) },
    {
      id: 'customer',
      title: t.grants.customer,
      wrap: true,
      cell: (g) => names.customer(g.customer) ?? t.grants.everybody,
    },
    { id: 'taken', title: t.grants.taken, cell: (g) => <When at={g.taken_at} /> },
    { id: 'until', title: t.grants.until, cell: (g) => <When at={g.ended_at ?? g.until} /> },
    {
      id: 'acts',
      title: t.common.actions,
      align: 'right',
      cell: (g) =>
        g.live && g.user === session?.user?.id ? (
          <Button size="compact-sm" variant="default" onClick={() => giveBack(g)}>
            {t.grants.end}
          </Button>
        ) : null,
    },
  ];
  return (
    <Page
      title={t.grants.title}
      lead={takes ? t.grants.lead : t.grants.leadOwn}
      actions={
        takes && (
          <Button
            leftSection={<IconLockOpen size={16} />}
            onClick={() => openForm(t.grants.take, (close) => <Take close={close} />)}
          >
            {t.grants.take}
          </Button>
        )
      }
    >
      {session?.shut && (
        <Alert icon={<IconLockAccess size={18} />} title={t.grants.shut} mb="md">
          {session.shut}
        </Alert>
      )}
      <Block flush>
        <PagedTable
          label={t.grants.title}
          query={query}
          columns={columns}
          rowKey={(g) => g.id}
          empty={
            <Empty
              icon={<IconLockAccess size={22} />}
              title={t.grants.empty}
              text={takes ? t.grants.emptyText : t.grants.emptyOwn}
            />
          }
        />
      </Block>
    </Page>
  );
}

function Take({ close }: { close: () => void }) {
  const { choice } = useNames();
  const [customer, setCustomer] = useState<string | null>(null);
  const [reason, setReason] = useState('');
  const [hours, setHours] = useState('1');
  const [tried, setTried] = useState(false);
  return (
    <FormBox
      submit={t.grants.take}
      cancel={close}
      onSubmit={() => {
        setTried(true);
        if (!reason.trim()) return false;
        // A minute less than it says: the server's clock may be ahead of this one.
        const until = new Date(Date.now() + Number(hours) * 3_600_000 - 60_000).toISOString();
        const body = { customer: customer ?? undefined, reason: reason.trim(), until };
        return must(api.POST('/v1/grants', { body })).then(async () => {
          close();
          await refresh();
          tell(t.grants.opened);
        });
      }}
    >
      <Text size="sm">{t.grants.takeText}</Text>
      <Select
        label={t.grants.customer}
        placeholder={t.grants.everybody}
        data={choice}
        value={customer}
        onChange={setCustomer}
        clearable
        searchable
      />
      <Textarea
        label={t.grants.reason}
        description={t.grants.reasonHelp}
        autosize
        minRows={2}
        maxLength={500}
        value={reason}
        onChange={(e) => setReason(e.currentTarget.value)}
        error={tried && !reason.trim() ? t.grants.needReason : null}
        data-autofocus
      />
      <Select
        label={t.grants.life}
        data={Object.entries(t.grants.lives).map(([value, label]) => ({ value, label }))}
        value={hours}
        onChange={(v) => setHours(v ?? '1')}
      />
    </FormBox>
  );
}
