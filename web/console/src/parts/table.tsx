import { Button, Center, Checkbox, Text, UnstyledButton } from '@mantine/core';
import { IconArrowDown, IconArrowsSort, IconArrowUp } from '@tabler/icons-react';
import type { UseInfiniteQueryResult } from '@tanstack/react-query';
import {
  type ColumnDef,
  createSortedRowModel,
  rowSortingFeature,
  sortFn_alphanumeric,
  sortFn_basic,
  tableFeatures,
  useTable,
} from '@tanstack/react-table';
import { type ReactNode, useEffect, useMemo } from 'react';
import { t } from '../texts';
import { ProblemNote, Waiting } from './problem';
import css from './table.module.css';

const features = tableFeatures({
  rowSortingFeature,
  sortedRowModel: createSortedRowModel(),
  sortFns: { alphanumeric: sortFn_alphanumeric, basic: sortFn_basic },
});

export type Column<T> = {
  id: string;
  title: string;
  cell: (row: T) => ReactNode;
  /** Makes the column sortable; give it only where all rows are loaded. */
  sort?: (row: T) => string | number;
  align?: 'right';
  /** The row's main cell: stands on top in the narrow layout. */
  lead?: boolean;
  /** Says nothing in the narrow layout. */
  wideOnly?: boolean;
  /** Takes the space that is left over and cuts what is too long. */
  grow?: boolean;
  /** May break into lines; other cells stay on one. */
  wrap?: boolean;
  /** Cut where it is longer than an ordinary address. */
  clip?: boolean;
};

type TableProps<T> = {
  label: string;
  columns: Column<T>[];
  rows: T[];
  rowKey: (row: T) => string;
  chosen?: Set<string>;
  onChoose?: (chosen: Set<string>) => void;
  nameOf?: (row: T) => string;
};

/** A table on a desk, a list of cards on a phone; the same markup and roles in both. */
export function DataTable<T extends object>(props: TableProps<T>) {
  const { columns, rows, rowKey, label, chosen, onChoose, nameOf } = props;
  const defs = useMemo(
    () =>
      columns.map(
        (c): ColumnDef<typeof features, T> => ({
          id: c.id,
          accessorFn: c.sort ?? (() => ''),
          enableSorting: c.sort !== undefined,
          sortFn: 'basic',
        }),
      ),
    [columns],
  );
  const table = useTable({ features, columns: defs, data: rows, getRowId: rowKey });
  const sorted = table.getRowModel().rows;
  const choosing = chosen !== undefined && onChoose !== undefined;

  function toggle(key: string) {
    const next = new Set(chosen);
    if (!next.delete(key)) next.add(key);
    onChoose?.(next);
  }

  return (
    <div className={css.wrap}>
      <table className={css.table} role="table" aria-label={label}>
        <thead role="rowgroup">
          <tr role="row">
            {choosing && (
              <th role="columnheader" className={css.check}>
                <Checkbox
                  size="xs"
                  aria-label={t.common.selectAll}
                  checked={rows.length > 0 && chosen.size === rows.length}
                  indeterminate={chosen.size > 0 && chosen.size < rows.length}
                  onChange={() =>
                    onChoose(chosen.size === rows.length ? new Set() : new Set(rows.map(rowKey)))
                  }
                />
              </th>
            )}
            {columns.map((c) => (
              <HeadCell
                key={c.id}
                column={c}
                order={table.getColumn(c.id)?.getIsSorted() || false}
                onSort={() => table.getColumn(c.id)?.toggleSorting()}
              />
            ))}
          </tr>
        </thead>
        <tbody role="rowgroup">
          {sorted.map(({ original: row, id }) => (
            <tr key={id} role="row" data-chosen={chosen?.has(id) || undefined}>
              {choosing && (
                <td role="cell" className={css.check}>
                  <Checkbox
                    size="xs"
                    aria-label={t.common.selectRow(nameOf?.(row) ?? id)}
                    checked={chosen.has(id)}
                    onChange={() => toggle(id)}
                  />
                </td>
              )}
              {columns.map((c) => (
                <td
                  key={c.id}
                  role="cell"
                  data-align={c.align}
                  data-lead={c.lead || undefined}
                  data-wide-only={c.wideOnly || undefined}
                  data-grow={c.grow || undefined}
                  data-wrap={c.wrap || undefined}
                  data-clip={c.clip || undefined}
                >
                  {!c.lead && c.title && (
                    <span className={css.label} aria-hidden>
                      {c.title}
                    </span>
                  )}
                  <div className={css.value}>{c.cell(row)}</div>
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

type Order = 'asc' | 'desc' | false;

function HeadCell<T>({ column, order, onSort }: { column: Column<T>; order: Order; onSort: () => void }) {
  const says = order === 'asc' ? 'ascending' : order === 'desc' ? 'descending' : undefined;
  return (
    <th
      role="columnheader"
      scope="col"
      data-align={column.align}
      data-grow={column.grow || undefined}
      aria-sort={says}
    >
      {column.sort ? (
        <UnstyledButton className={css.sort} onClick={onSort}>
          {column.title}
          <SortMark order={order} />
        </UnstyledButton>
      ) : (
        column.title
      )}
    </th>
  );
}

function SortMark({ order }: { order: Order }) {
  if (order === 'asc') return <IconArrowUp size={13} aria-hidden />;
  if (order === 'desc') return <IconArrowDown size={13} aria-hidden />;
  return <IconArrowsSort size={13} aria-hidden className={css.unsorted} />;
}

type ListProps<T extends object> = Omit<TableProps<T>, 'rows'> & {
  query: UseInfiniteQueryResult<{ pages: { items: T[] | null }[] }>;
  empty: ReactNode;
};

/**
 * A list with a cursor: its table, its empty state, its refusal, and the button for more. A search
 * looks through a part of the records at a time; while it has found nothing it goes on by itself.
 */
export function PagedTable<T extends object>({ query, empty, ...table }: ListProps<T>) {
  const rows = useMemo(() => query.data?.pages.flatMap((p) => p.items ?? []) ?? [], [query.data]);
  const goesOn = query.data !== undefined && rows.length === 0 && query.hasNextPage;
  const { fetchNextPage, isFetchingNextPage, isFetchNextPageError } = query;
  useEffect(() => {
    if (goesOn && !isFetchingNextPage && !isFetchNextPageError) void fetchNextPage();
  }, [goesOn, isFetchingNextPage, isFetchNextPageError, fetchNextPage]);
  if (query.error && !query.data) return <ProblemNote error={query.error} retry={() => query.refetch()} />;
  if (goesOn && isFetchNextPageError) return <More query={query} />;
  if (!query.data || goesOn) return <Waiting />;
  if (rows.length === 0) return <>{empty}</>;
  return (
    <>
      <DataTable rows={rows} {...table} />
      <More query={query} />
    </>
  );
}

export function More({
  query,
}: {
  query: Pick<
    UseInfiniteQueryResult,
    'hasNextPage' | 'fetchNextPage' | 'isFetchingNextPage' | 'isFetchNextPageError'
  > & {
    error: unknown;
    data?: { pages: unknown[] } | unknown;
  };
}) {
  if (query.isFetchNextPageError)
    return <ProblemNote error={query.error} retry={() => query.fetchNextPage()} />;
  if (query.hasNextPage) {
    return (
      <Center p="md">
        <Button variant="default" onClick={() => query.fetchNextPage()} loading={query.isFetchingNextPage}>
          {t.common.loadMore}
        </Button>
      </Center>
    );
  }
  const pages = (query.data as { pages?: unknown[] } | undefined)?.pages?.length ?? 0;
  if (pages < 2) return null;
  return (
    <Text c="dimmed" size="xs" ta="center" p="sm">
      {t.common.loadedAll}
    </Text>
  );
}
