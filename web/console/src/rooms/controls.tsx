import { Group, SegmentedControl, Stack, Text, TextInput } from '@mantine/core';
import { IconSearch, IconShieldCheck } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useMemo, useState } from 'react';
import { q } from '../api/queries';
import type { Control } from '../api/shapes';
import { Block, Empty, State, When } from '../parts/atoms';
import { Page } from '../parts/page';
import { Loaded } from '../parts/problem';
import { type Column, DataTable } from '../parts/table';
import { t } from '../texts';
import css from './controls.module.css';

const order = ['failing', 'kept', 'attested', 'not_applicable', 'not_yet'];

const columns: Column<Control>[] = [
  {
    id: 'status',
    title: t.controls.status,
    sort: (c) => order.indexOf(c.status),
    cell: (c) => <State state={c.status} />,
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
    cell: (c) => <span className={css.evidence}>{c.evidence || t.common.nothing}</span>,
  },
  {
    id: 'checked',
    title: t.controls.checkedAt,
    align: 'right',
    sort: (c) => c.checked_at ?? '',
    cell: (c) => <When at={c.checked_at} none={t.controls.notChecked} />,
  },
];

export function Controls() {
  const query = useQuery(q.controls);
  return (
    <Page title={t.controls.title} lead={t.controls.lead} wide>
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
    </Page>
  );
}

function List({ all }: { all: Control[] }) {
  const [status, setStatus] = useState('');
  const [word, setWord] = useState('');
  const counts = useMemo(() => {
    const n: Record<string, number> = {};
    for (const c of all) n[c.status] = (n[c.status] ?? 0) + 1;
    return n;
  }, [all]);
  const rows = useMemo(() => {
    const w = word.trim().toLowerCase();
    return all
      .filter((c) => !status || c.status === status)
      .filter((c) => !w || `${c.id} ${c.says} ${c.evidence ?? ''}`.toLowerCase().includes(w))
      .sort((a, b) => order.indexOf(a.status) - order.indexOf(b.status));
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
