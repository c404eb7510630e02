import { Stack, TextInput } from '@mantine/core';
import { IconSearch, IconTable } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useMemo, useState } from 'react';
import { q } from '../api/queries';
import type { InventoryEntry } from '../api/shapes';
import { Block, Empty } from '../parts/atoms';
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
    </Page>
  );
}
