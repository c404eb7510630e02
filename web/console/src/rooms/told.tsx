import { Button, Group, Text } from '@mantine/core';
import { IconSend } from '@tabler/icons-react';
import { useInfiniteQuery } from '@tanstack/react-query';
import { api, must } from '../api/client';
import { q, queryClient } from '../api/queries';
import type { OnwardNotice as Notice } from '../api/shapes';
import { ask, tell } from '../parts/ask';
import { Block, Empty, State, When } from '../parts/atoms';
import { type Column, PagedTable } from '../parts/table';
import { t } from '../texts';

const refresh = () => queryClient.invalidateQueries({ queryKey: ['onward'] });
const at = (n: Notice) => ({ params: { path: { id: n.id } } });

async function retry(n: Notice) {
  await must(api.POST('/v1/onward/{id}/retry', at(n)));
  tell(t.told.retried);
  await refresh();
}

function settle(n: Notice) {
  ask({
    title: t.told.settleTitle(n.host),
    text: t.told.settleText,
    confirm: t.told.settle,
    act: async () => {
      await must(api.POST('/v1/onward/{id}/settle', at(n)));
      await refresh();
      tell(t.told.settled);
    },
    other: { label: t.told.retry, act: () => retry(n) },
  });
}

const columns: Column<Notice>[] = [
  { id: 'host', title: t.told.host, lead: true, cell: (n) => <strong>{n.host}</strong> },
  { id: 'event', title: t.told.event, cell: (n) => t.told.events[n.event] ?? n.event },
  { id: 'state', title: t.common.state, cell: (n) => <State state={n.late ? 'overdue' : n.state} /> },
  { id: 'due', title: t.told.due, cell: (n) => <When at={n.due_at} /> },
  {
    id: 'answer',
    title: t.told.answer,
    cell: (n) => <Text size="sm">{t.told.attempts(n.attempts, n.last_status)}</Text>,
  },
  { id: 'ended', title: t.told.ended, cell: (n) => <When at={n.ended_at} none={t.common.nothing} /> },
  {
    id: 'acts',
    title: t.common.actions,
    align: 'right',
    cell: (n) =>
      n.state === 'open' ? (
        <Group gap={6} justify="flex-end" wrap="nowrap">
          <Button size="compact-sm" variant="default" onClick={() => settle(n)}>
            {t.told.act}
          </Button>
        </Group>
      ) : (
        t.common.nothing
      ),
  },
];

/** The endpoints that got data of persons, and whether they know what became of it. */
export function Told() {
  const query = useInfiniteQuery(q.onward);
  return (
    <Block flush title={t.told.title} text={t.told.text}>
      <PagedTable
        label={t.told.title}
        query={query}
        columns={columns}
        rowKey={(n) => n.id}
        empty={<Empty icon={<IconSend size={22} />} title={t.told.empty} text={t.told.emptyText} />}
      />
    </Block>
  );
}
