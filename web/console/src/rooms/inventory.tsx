import { Box, Stack, Text, TextInput } from '@mantine/core';
import { IconSearch, IconTable } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useMemo, useState } from 'react';
import { q } from '../api/queries';
import type { InventoryEntry, RetentionState } from '../api/shapes';
import { may } from '../may';
import { Block, Empty, State, When } from '../parts/atoms';
import { count } from '../parts/format';
import { Page } from '../parts/page';
import { Loaded } from '../parts/problem';
import { type Column, DataTable } from '../parts/table';
import { t } from '../texts';

const text = (value: string | undefined) => value || t.common.nothing;

/** "column mail.id", "column mail.at" and "file x" become "mail: id, at" and "file x". */
export function places(where: string[]): string[] {
  const tables = new Map<string, string[]>();
  const lines: string[] = [];
  for (const place of where) {
    const [, table, column] = /^column ([^.]+)\.(.+)$/.exec(place) ?? [];
    if (!table || !column) {
      lines.push(place);
      continue;
    }
    tables.set(table, [...(tables.get(table) ?? []), column]);
  }
  return [...[...tables].map(([table, columns]) => `${table}: ${columns.join(', ')}`), ...lines];
}

const columns: Column<InventoryEntry>[] = [
  {
    id: 'category',
    wrap: true,
    title: t.inventory.category,
    lead: true,
    sort: (e) => e.category ?? '',
    cell: (e) => <strong>{text(e.category)}</strong>,
  },
  {
    id: 'where',
    wrap: true,
    title: t.inventory.where,
    sort: (e) => e.holder,
    cell: (e) => places(e.where).map((line) => <code key={line}>{line}</code>),
  },
  {
    id: 'whose',
    wrap: true,
    title: t.inventory.whose,
    sort: (e) => e.whose ?? '',
    cell: (e) => text(e.whose),
  },
  { id: 'purpose', wrap: true, title: t.inventory.purpose, cell: (e) => text(e.purpose) },
  { id: 'basis', wrap: true, title: t.inventory.basis, cell: (e) => text(e.basis) },
  { id: 'period', wrap: true, title: t.inventory.period, cell: (e) => text(e.period) },
  { id: 'erasing', wrap: true, title: t.inventory.erasing, cell: (e) => text(e.erasing) },
];

export function Inventory() {
  const session = useQuery(q.session).data;
  const query = useQuery(q.inventory);
  const [word, setWord] = useState('');
  const rows = useMemo(() => {
    const w = word.trim().toLowerCase();
    return (query.data ?? []).filter((e) => !w || Object.values(e).join(' ').toLowerCase().includes(w));
  }, [query.data, word]);
  return (
    <Page title={t.inventory.title} lead={t.inventory.lead} wide>
      <Loaded query={query}>
        {(all) =>
          all.length === 0 ? (
            <Block>
              <Empty icon={<IconTable size={22} />} title={t.inventory.empty} text={t.inventory.emptyText} />
            </Block>
          ) : (
            <Stack gap="md">
              <TextInput
                aria-label={t.inventory.filter}
                placeholder={t.inventory.filter}
                leftSection={<IconSearch size={15} aria-hidden />}
                value={word}
                onChange={(e) => setWord(e.currentTarget.value)}
                w={{ base: '100%', xs: 280 }}
              />
              <Block flush>
                {rows.length === 0 ? (
                  <Empty
                    icon={<IconSearch size={22} />}
                    title={t.inventory.emptyFiltered}
                    text={t.inventory.emptyFilteredText}
                  />
                ) : (
                  <DataTable
                    label={t.inventory.table}
                    columns={columns}
                    rows={rows}
                    rowKey={(e) => `${e.holder} ${e.category}`}
                  />
                )}
              </Block>
            </Stack>
          )
        }
      </Loaded>
      {may(session, 'platform:read') && (
        <Box mt="lg">
          <Retention />
        </Box>
      )}
    </Page>
  );
}

const retentionColumns: Column<RetentionState>[] = [
  { id: 'status', title: t.retention.status, cell: (r) => <State state={r.status} /> },
  {
    id: 'category',
    title: t.retention.category,
    lead: true,
    wrap: true,
    cell: (r) => (
      <>
        <strong>{r.category}</strong>
        {r.problem && (
          <Text size="xs" c="var(--app-bad)">
            {r.problem}
          </Text>
        )}
      </>
    ),
  },
  { id: 'period', title: t.retention.period, cell: (r) => r.period },
  { id: 'oldest', title: t.retention.oldest, cell: (r) => <When at={r.oldest_at} /> },
  { id: 'due', title: t.retention.due, cell: (r) => <When at={r.due_at} /> },
  { id: 'ran', title: t.retention.ran, cell: (r) => <When at={r.ran_at} none={t.retention.never} /> },
  {
    id: 'purged',
    title: t.retention.purged,
    cell: (r) =>
      r.purged_at ? (
        <>
          {t.retention.count(count(r.purged))} <When at={r.purged_at} />
        </>
      ) : (
        t.retention.never
      ),
  },
  { id: 'total', title: t.retention.total, align: 'right', cell: (r) => count(r.total) },
];

function Retention() {
  const query = useQuery(q.retention);
  return (
    <Block title={t.retention.title} text={t.retention.lead} flush>
      <Loaded query={query}>
        {(rows) => (
          <DataTable
            label={t.retention.title}
            columns={retentionColumns}
            rows={rows}
            rowKey={(r) => r.category}
          />
        )}
      </Loaded>
    </Block>
  );
}
