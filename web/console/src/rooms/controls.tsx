import {
  Alert,
  Button,
  Group,
  Progress,
  SegmentedControl,
  Stack,
  Tabs,
  Text,
  TextInput,
} from '@mantine/core';
import { IconInfoCircle, IconPlayerPlay, IconSearch, IconShieldCheck } from '@tabler/icons-react';
import { useMutation, useQuery } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { useMemo, useState } from 'react';
import { api, must, rows as rowsOf } from '../api/client';
import { q, queryClient } from '../api/queries';
import type { Control } from '../api/shapes';
import { may } from '../may';
import { tell } from '../parts/ask';
import { Block, Empty, State, When } from '../parts/atoms';
import { Page } from '../parts/page';
import { Loaded, ProblemNote } from '../parts/problem';
import { type Column, DataTable } from '../parts/table';
import { t } from '../texts';
import css from './controls.module.css';
import { Mapping } from './mapping';

const order = ['failing', 'kept', 'attested', 'not_applicable', 'to_run', 'not_yet'];

/** A promise whose probe has not run yet is another thing than one that has no probe. */
export const stateOf = (c: Pick<Control, 'status' | 'probed'>) =>
  c.status === 'not_yet' && c.probed ? 'to_run' : c.status;

const columns: Column<Control>[] = [
  {
    id: 'status',
    title: t.controls.status,
    sort: (c) => order.indexOf(stateOf(c)),
    cell: (c) => (
      <>
        <State state={stateOf(c)} />
        {c.failing_since && (
          <Text size="xs" c="dimmed">
            {t.controls.since} <When at={c.failing_since} />
          </Text>
        )}
      </>
    ),
  },
  {
    id: 'says',
    wrap: true,
    title: t.controls.promise,
    lead: true,
    sort: (c) => c.says,
    cell: (c) => (
      <div className={css.promise}>
        {c.says}
        <code>{c.id}</code>
      </div>
    ),
  },
  {
    id: 'evidence',
    wrap: true,
    title: t.controls.evidence,
    cell: (c) => (
      <span className={css.evidence}>
        {t.controls.waiting[stateOf(c)] ?? (c.evidence || t.common.nothing)}
      </span>
    ),
  },
  {
    id: 'checked',
    title: t.controls.checkedAt,
    align: 'right',
    sort: (c) => c.checked_at ?? '',
    cell: (c) => <When at={c.checked_at} none={t.common.nothing} />,
  },
];

const tabs = ['promises', 'map'] as const;

/** The board of promises, and what four standards ask of them. */
export function Controls() {
  const { tab } = useSearch({ from: '/shell/controls' });
  const navigate = useNavigate();
  const now = tabs.find((x) => x === tab) ?? 'promises';
  const runs = may(useQuery(q.session).data, 'platform:manage');
  const run = useMutation({
    mutationFn: async () => rowsOf(await must(api.POST('/v1/controls/check'))),
    onMutate: () => Date.now(),
    onSuccess: (all) => {
      queryClient.setQueryData(q.controls.queryKey, all);
      const failing = all.filter((c) => c.status === 'failing').length;
      tell(failing > 0 ? t.controls.ranFailing(failing) : t.controls.ran);
    },
  });
  // While probes run, the list is looked at for the findings that are there already.
  const query = useQuery({ ...q.controls, refetchInterval: run.isPending ? 1_000 : false });
  return (
    <Page
      title={t.controls.title}
      lead={t.controls.lead}
      wide
      actions={
        runs && (
          <Button
            leftSection={<IconPlayerPlay size={16} />}
            loading={run.isPending}
            onClick={() => run.mutate()}
          >
            {t.controls.run}
          </Button>
        )
      }
    >
      <Tabs
        value={now}
        keepMounted={false}
        onChange={(v) => navigate({ to: '/controls', search: v === 'map' ? { tab: v } : {}, replace: true })}
      >
        <Tabs.List mb="lg" className={css.tabs}>
          {tabs.map((x) => (
            <Tabs.Tab key={x} value={x}>
              {t.controls.tabs[x]}
            </Tabs.Tab>
          ))}
        </Tabs.List>
        <Tabs.Panel value="promises">
          {run.isPending && <Under since={run.submittedAt} all={query.data ?? []} />}
          {run.isError && <ProblemNote error={run.error} retry={() => run.mutate()} />}
          {!run.isPending && query.data && <Unseen all={query.data} runs={runs} />}
          <Loaded query={query}>
            {(all) =>
              all.length === 0 ? (
                <Block>
                  <Empty
                    icon={<IconShieldCheck size={22} />}
                    title={t.controls.empty}
                    text={t.controls.emptyText}
                  />
                </Block>
              ) : (
                <List all={all} />
              )
            }
          </Loaded>
        </Tabs.Panel>
        <Tabs.Panel value="map">
          <Mapping />
        </Tabs.Panel>
      </Tabs>
    </Page>
  );
}

/** How far the run is: every finding since it began. */
function Under({ since, all }: { since: number; all: Control[] }) {
  const probed = all.filter((c) => c.probed);
  // A second is given for clocks that differ.
  const done = probed.filter((c) => Date.parse(c.checked_at ?? '') >= since - 1_000).length;
  return (
    <div className={css.running} role="status">
      <Text size="sm">{t.controls.running(done, probed.length)}</Text>
      <Progress
        value={probed.length ? (100 * done) / probed.length : 0}
        aria-label={t.controls.run}
        size="sm"
        mt={6}
      />
    </div>
  );
}

/** Says why nothing is shown yet, and who can change that. */
function Unseen({ all, runs }: { all: Control[]; runs: boolean }) {
  const waiting = all.filter((c) => stateOf(c) === 'to_run').length;
  if (waiting === 0 || waiting < all.filter((c) => c.probed).length) return null;
  return (
    <Alert icon={<IconInfoCircle size={18} />} title={t.controls.unseen(waiting)} mb="md">
      {runs ? t.controls.unseenRun : t.controls.unseenAsk}
    </Alert>
  );
}

function List({ all }: { all: Control[] }) {
  const [status, setStatus] = useState('');
  const [word, setWord] = useState('');
  const counts = useMemo(() => {
    const n: Record<string, number> = {};
    for (const c of all) n[stateOf(c)] = (n[stateOf(c)] ?? 0) + 1;
    return n;
  }, [all]);
  const rows = useMemo(() => {
    const w = word.trim().toLowerCase();
    return all
      .filter((c) => !status || stateOf(c) === status)
      .filter((c) => !w || `${c.id} ${c.says} ${c.evidence ?? ''}`.toLowerCase().includes(w))
      .sort((a, b) => order.indexOf(stateOf(a)) - order.indexOf(stateOf(b)));
  }, [all, status, word]);
  return (
    <Stack gap="md">
      <Group justify="space-between" gap="sm">
        <div className={css.segments}>
          <SegmentedControl
            size="xs"
            aria-label={t.controls.filterBy}
            value={status}
            onChange={setStatus}
            data={[
              { value: '', label: `${t.common.all} ${all.length}` },
              ...order
                .filter((s) => counts[s])
                .map((s) => ({ value: s, label: `${t.state[s]} ${counts[s]}` })),
            ]}
          />
        </div>
        <TextInput
          aria-label={t.controls.filter}
          placeholder={t.controls.filter}
          leftSection={<IconSearch size={15} aria-hidden />}
          value={word}
          onChange={(e) => setWord(e.currentTarget.value)}
          w={{ base: '100%', xs: 260 }}
        />
      </Group>
      <Block flush>
        {rows.length === 0 ? (
          <Empty
            icon={<IconSearch size={22} />}
            title={t.controls.emptyFiltered}
            text={t.controls.emptyFilteredText}
          />
        ) : (
          <DataTable label={t.controls.table} columns={columns} rows={rows} rowKey={(c) => c.id} />
        )}
      </Block>
      <Text size="sm" c="dimmed" role="status">
        {t.controls.summary(counts.kept ?? 0, all.length)}
      </Text>
    </Stack>
  );
}
