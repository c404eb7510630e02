import { Anchor, SegmentedControl, Stack, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { q } from '../api/queries';
import type { MappedControl } from '../api/shapes';
import { Block, State } from '../parts/atoms';
import { Loaded } from '../parts/problem';
import { type Column, DataTable } from '../parts/table';
import { t } from '../texts';
import css from './controls.module.css';

const standards = ['gdpr', 'iso27001', 'soc2', 'hipaa'] as const;
const holds = new Set(['kept', 'attested', 'not_applicable']);

const columns: Column<MappedControl>[] = [
  { id: 'ref', title: t.controls.ref, sort: (c) => c.ref, cell: (c) => <strong>{c.ref}</strong> },
  {
    id: 'about',
    title: t.controls.asks,
    lead: true,
    wrap: true,
    cell: (c) => (
      <div className={css.promise}>
        {c.about}
        {c.gap && (
          <Text size="xs" c="dimmed" fw={400}>
            {t.controls.leaves(c.gap)}
          </Text>
        )}
      </div>
    ),
  },
  { id: 'status', title: t.controls.status, sort: (c) => c.status, cell: (c) => <State state={c.status} /> },
  {
    id: 'by',
    title: t.controls.answeredBy,
    wrap: true,
    cell: (c) =>
      c.promises.length === 0 ? (
        t.common.nothing
      ) : (
        <ul className={css.answers}>
          {c.promises.map((p) => (
            <li key={p.id}>
              <code>{p.id}</code> <State state={p.status} />
            </li>
          ))}
        </ul>
      ),
  },
];

/** What GDPR, ISO 27001, SOC 2 and HIPAA ask, and how the promises that answer it stand. */
export function Mapping() {
  const { standard } = useSearch({ from: '/shell/controls' });
  const navigate = useNavigate();
  const of = standards.find((s) => s === standard) ?? 'gdpr';
  const query = useQuery(q.mapped(of));
  return (
    <Stack gap="md">
      <Text size="sm" c="dimmed" maw="76ch">
        {t.controls.mapText}
      </Text>
      <div className={css.segments}>
        <SegmentedControl
          size="xs"
          aria-label={t.controls.standard}
          value={of}
          onChange={(v) => navigate({ to: '/controls', search: { tab: 'map', standard: v }, replace: true })}
          data={standards.map((s) => ({ value: s, label: t.controls.standards[s] ?? s }))}
        />
      </div>
      <Loaded query={query}>
        {(list) => (
          <>
            <Block flush>
              <DataTable
                label={t.controls.standards[of] ?? of}
                columns={columns}
                rows={list}
                rowKey={(c) => c.ref}
              />
            </Block>
            <Text size="sm" c="dimmed" role="status">
              {t.controls.mapped(
                list.filter((c) => holds.has(c.status)).length,
                list.filter((c) => c.status === 'gap').length,
                list.length,
              )}
            </Text>
          </>
        )}
      </Loaded>
      <Text size="sm">
        <Anchor href="/v1/controls/oscal" download="oscal.json">
          {t.controls.oscal}
        </Anchor>
      </Text>
    </Stack>
  );
}
