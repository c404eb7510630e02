import { Button, Group, Radio, Select, Stack, Text, Textarea, TextInput } from '@mantine/core';
import { IconLockCheck, IconPlus } from '@tabler/icons-react';
import { useInfiniteQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { api, must } from '../api/client';
import { flat, q, queryClient } from '../api/queries';
import type { LegalHold as Hold } from '../api/shapes';
import { ask, openForm, tell } from '../parts/ask';
import { Block, Empty, State, When } from '../parts/atoms';
import { FormBox } from '../parts/form';
import { count, dayFromNow } from '../parts/format';
import { type Column, PagedTable } from '../parts/table';
import { t } from '../texts';

const refresh = () =>
  Promise.all([
    queryClient.invalidateQueries({ queryKey: ['holds'] }),
    queryClient.invalidateQueries({ queryKey: ['overview'] }),
  ]);
const of = (h: Hold) => h.address ?? h.message ?? t.holds.kinds[h.kind] ?? h.kind;
const stateOf = (h: Hold) => (h.released_at ? 'released' : h.overdue ? 'overdue' : 'holds');
const at = (h: Hold) => ({ params: { path: { id: h.id } } });

export function Holds() {
  const query = useInfiniteQuery(q.holds);
  const owners = flat(useInfiniteQuery(q.users).data);
  const columns: Column<Hold>[] = [
    {
      id: 'of',
      title: t.holds.scope,
      lead: true,
      cell: (h) => (
        <>
          <strong>{of(h)}</strong>
          {h.case && (
            <Text size="xs" c="dimmed">
              {t.holds.caseOf(h.case)}
            </Text>
          )}
        </>
      ),
    },
    { id: 'state', title: t.common.state, cell: (h) => <State state={stateOf(h)} /> },
    { id: 'ground', title: t.holds.ground, cell: (h) => t.holds.grounds[h.ground] ?? h.ground },
    {
      id: 'owner',
      title: t.holds.owner,
      cell: (h) => owners.find((u) => u.id === h.owner)?.name ?? t.holds.operator,
    },
    { id: 'review', title: t.holds.review, cell: (h) => <When at={h.review_at} /> },
    { id: 'records', title: t.holds.records, align: 'right', cell: (h) => count(h.records) },
    {
      id: 'acts',
      title: t.common.actions,
      align: 'right',
      cell: (h) =>
        h.released_at ? (
          <When at={h.released_at} />
        ) : (
          <Group gap={6} justify="flex-end" wrap="nowrap">
            <Button size="compact-sm" variant={h.overdue ? 'filled' : 'default'} onClick={() => review(h)}>
              {t.holds.reviewIt}
            </Button>
            <Button size="compact-sm" variant="default" onClick={() => release(h)}>
              {t.holds.release}
            </Button>
          </Group>
        ),
    },
  ];
  return (
    <Block
      flush
      title={t.holds.title}
      text={t.holds.text}
      aside={
        <Button leftSection={<IconPlus size={16} />} variant="default" onClick={add}>
          {t.holds.add}
        </Button>
      }
    >
      <PagedTable
        label={t.holds.title}
        query={query}
        columns={columns}
        rowKey={(h) => h.id}
        empty={<Empty icon={<IconLockCheck size={22} />} title={t.holds.empty} text={t.holds.emptyText} />}
      />
    </Block>
  );
}

function release(h: Hold) {
  ask({
    title: t.holds.releaseTitle(of(h)),
    text: t.holds.releaseText,
    confirm: t.holds.release,
    danger: true,
    act: async () => {
      await must(api.POST('/v1/holds/{id}/release', at(h)));
      await refresh();
      tell(t.holds.released);
    },
  });
}

const review = (h: Hold) => openForm(t.holds.reviewTitle(of(h)), (close) => <Review of={h} close={close} />);

function Review({ of: h, close }: { of: Hold; close: () => void }) {
  const [next, setNext] = useState(dayFromNow(90));
  return (
    <FormBox
      submit={t.holds.stillNeeded}
      cancel={close}
      onSubmit={() =>
        next !== '' &&
        must(api.POST('/v1/holds/{id}/review', { ...at(h), body: { review_at: `${next}T00:00:00Z` } })).then(
          () => {
            close();
            tell(t.holds.reviewed);
            return refresh();
          },
        )
      }
    >
      <Text size="sm">{t.holds.reviewText}</Text>
      <TextInput
        label={t.holds.next}
        type="date"
        value={next}
        min={dayFromNow(1)}
        max={dayFromNow(365)}
        onChange={(e) => setNext(e.currentTarget.value)}
        error={next === '' ? t.holds.needDate : null}
      />
    </FormBox>
  );
}

const add = () => openForm(t.holds.add, (close) => <Add close={close} />);

function Add({ close }: { close: () => void }) {
  const [kind, setKind] = useState<Hold['kind']>('person');
  const [what, setWhat] = useState('');
  const [ground, setGround] = useState<string>('claim');
  const [name, setName] = useState('');
  const [note, setNote] = useState('');
  const [next, setNext] = useState(dayFromNow(90));
  const [tried, setTried] = useState(false);
  const needs = kind !== 'customer' && !what.trim();
  return (
    <FormBox
      submit={t.holds.add}
      cancel={close}
      onSubmit={() => {
        setTried(true);
        if (needs || !next) return false;
        const body = {
          kind,
          address: kind === 'person' ? what.trim() : undefined,
          message: kind === 'message' ? what.trim() : undefined,
          ground: ground as 'claim',
          case: name.trim() || undefined,
          note: note.trim() || undefined,
          review_at: `${next}T00:00:00Z`,
        };
        return must(api.POST('/v1/holds', { body })).then(() => {
          close();
          tell(t.holds.added);
          return refresh();
        });
      }}
    >
      <Text size="sm">{t.holds.addText}</Text>
      <Radio.Group label={t.holds.scope} value={kind} onChange={(v) => setKind(v as Hold['kind'])}>
        <Stack gap={6} mt={6}>
          {(['person', 'message', 'customer'] as const).map((k) => (
            <Radio key={k} value={k} label={t.holds.kinds[k]} />
          ))}
        </Stack>
      </Radio.Group>
      {kind !== 'customer' && (
        <TextInput
          label={kind === 'person' ? t.subject.address : t.holds.message}
          placeholder={kind === 'person' ? t.subject.placeholder : t.holds.messageLike}
          autoComplete="off"
          value={what}
          onChange={(e) => setWhat(e.currentTarget.value)}
          error={tried && needs ? t.holds.needWhat : null}
        />
      )}
      <Group grow align="flex-start">
        <Select
          label={t.holds.ground}
          data={Object.entries(t.holds.grounds).map(([value, label]) => ({ value, label }))}
          value={ground}
          onChange={(v) => setGround(v ?? 'claim')}
        />
        <TextInput
          label={t.holds.reviewBy}
          type="date"
          value={next}
          min={dayFromNow(1)}
          max={dayFromNow(365)}
          onChange={(e) => setNext(e.currentTarget.value)}
          error={tried && !next ? t.holds.needDate : null}
        />
      </Group>
      <TextInput
        label={t.holds.case}
        description={t.holds.caseHelp}
        value={name}
        onChange={(e) => setName(e.currentTarget.value)}
      />
      <Textarea
        label={t.holds.note}
        autosize
        minRows={2}
        value={note}
        onChange={(e) => setNote(e.currentTarget.value)}
      />
    </FormBox>
  );
}
