import { Button, SegmentedControl, Text } from '@mantine/core';
import { IconBell } from '@tabler/icons-react';
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { api, must } from '../api/client';
import { flat, q, queryClient } from '../api/queries';
import type { RaisedAlert } from '../api/shapes';
import { may } from '../may';
import { tell } from '../parts/ask';
import { Block, Empty, State, When } from '../parts/atoms';
import { useNames } from '../parts/names';
import { Page } from '../parts/page';
import { ProblemNote, Waiting } from '../parts/problem';
import { type Column, DataTable, More } from '../parts/table';
import { t } from '../texts';

const stateOf = (a: RaisedAlert) => (a.cleared_at ? 'cleared' : a.acknowledged_at ? 'seen' : 'stands');

async function acknowledge(a: RaisedAlert) {
  await must(api.POST('/v1/alerts/{id}/acknowledge', { params: { path: { id: a.id } } }));
  await Promise.all([
    queryClient.invalidateQueries({ queryKey: ['alerts'] }),
    queryClient.invalidateQueries({ queryKey: ['overview'] }),
  ]);
  tell(t.alerts.acknowledged);
}

/** The board: what stands, what to do about it, and who has seen it. */
export function Alerts() {
  const manage = may(useQuery(q.session).data, 'assurance:manage');
  const query = useInfiniteQuery(q.alerts);
  const names = useNames();
  const [shown, setShown] = useState('standing');
  const all = flat(query.data);
  const rows = all.filter((a) => shown === 'all' || !a.cleared_at);
  const columns: Column<RaisedAlert>[] = [
    {
      id: 'what',
      title: t.alerts.what,
      lead: true,
      wrap: true,
      cell: (a) => (
        <>
          <strong>{a.text}</strong>
          {!a.cleared_at && (
            <Text size="xs" c="dimmed" fw={400}>
              {t.alerts.runbook} {a.runbook}
            </Text>
          )}
        </>
      ),
    },
    { id: 'state', title: t.common.state, cell: (a) => <State state={stateOf(a)} /> },
    { id: 'kind', title: t.alerts.kind, cell: (a) => t.alerts.kinds[a.kind] ?? a.kind },
    { id: 'first', title: t.alerts.first, cell: (a) => <When at={a.first_at} /> },
    {
      id: 'last',
      title: t.alerts.last,
      cell: (a) => (
        <>
          <When at={a.last_at} />
          <Text size="xs" c="dimmed">
            {t.alerts.times(a.times)}
          </Text>
        </>
      ),
    },
    {
      id: 'acts',
      title: t.alerts.seen,
      align: 'right',
      cell: (a) => {
        if (a.acknowledged_at)
          return (
            <>
              <When at={a.acknowledged_at} />
              {a.acknowledged_by && (
                <Text size="xs" c="dimmed">
                  {t.alerts.by(names.user(a.acknowledged_by) ?? '')}
                </Text>
              )}
            </>
          );
        if (!manage || a.cleared_at) return t.common.nothing;
        return (
          <Button
            size="compact-sm"
            variant="default"
            aria-label={t.alerts.acknowledgeOf(a.text)}
            onClick={() => acknowledge(a)}
          >
            {t.alerts.acknowledge}
          </Button>
        );
      },
    },
  ];
  return (
    <Page
      title={t.alerts.title}
      lead={t.alerts.lead}
      actions={
        <SegmentedControl
          size="xs"
          aria-label={t.alerts.shown}
          value={shown}
          onChange={setShown}
          data={[
            { value: 'standing', label: t.alerts.standing },
            { value: 'all', label: t.alerts.all },
          ]}
        />
      }
    >
      {query.error && !query.data ? (
        <ProblemNote error={query.error} retry={() => query.refetch()} />
      ) : !query.data ? (
        <Waiting />
      ) : (
        <Block flush>
          {rows.length === 0 ? (
            <Empty
              icon={<IconBell size={22} />}
              title={all.length > 0 ? t.alerts.quiet : t.alerts.empty}
              text={t.alerts.quietText}
            />
          ) : (
            <DataTable label={t.alerts.title} columns={columns} rows={rows} rowKey={(a) => a.id} />
          )}
          <More query={query} />
        </Block>
      )}
    </Page>
  );
}
