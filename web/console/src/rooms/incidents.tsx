import { Button, Group, Stack, Text } from '@mantine/core';
import { IconShieldExclamation } from '@tabler/icons-react';
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { api, must } from '../api/client';
import { flat, q, queryClient } from '../api/queries';
import type { Incident } from '../api/shapes';
import { may } from '../may';
import { ask, tell } from '../parts/ask';
import { Block, Empty, State, When } from '../parts/atoms';
import { Page } from '../parts/page';
import { t } from '../texts';

const refresh = () =>
  Promise.all([
    queryClient.invalidateQueries({ queryKey: ['incidents'] }),
    queryClient.invalidateQueries({ queryKey: ['overview'] }),
  ]);
const at = (x: Incident) => ({ params: { path: { id: x.id } } });

/** The room of breaches: for the operator clocks and acts, for a customer its own notices. */
export function Incidents() {
  const { data: session } = useQuery(q.session);
  const query = useInfiniteQuery(q.incidents);
  const list = flat(query.data);
  const manage = may(session, 'incidents:manage');
  return (
    <Page title={t.incidents.title} lead={manage ? t.incidents.lead : t.incidents.leadOwn}>
      <Stack>
        {query.isSuccess && list.length === 0 && (
          <Empty
            icon={<IconShieldExclamation size={22} />}
            title={t.incidents.empty}
            text={manage ? t.incidents.emptyText : t.incidents.emptyOwn}
          />
        )}
        {list.map((x) => (
          <One key={x.id} of={x} manage={manage} />
        ))}
        {query.hasNextPage && (
          <Button variant="default" onClick={() => query.fetchNextPage()}>
            {t.incidents.more}
          </Button>
        )}
      </Stack>
    </Page>
  );
}

function One({ of: x, manage }: { of: Incident; manage: boolean }) {
  return (
    <Block
      title={x.drill ? t.incidents.drill(x.title) : x.title}
      text={`${x.id} · ${t.incidents.states[x.state] ?? x.state}`}
      aside={manage && x.state !== 'closed' ? <Acts of={x} /> : undefined}
    >
      <Stack gap="xs">
        <Text size="sm">
          {t.incidents.aware} <When at={x.aware_at} />
        </Text>
        {x.clocks.map((c) => (
          <Group key={c.name} gap="sm">
            <State state={c.standing} />
            <Text size="sm">
              {t.incidents.clocks[c.name] ?? c.name}: {t.incidents.due} <When at={c.due_at} />
            </Text>
          </Group>
        ))}
        {manage && x.missing.length > 0 && (
          <Text size="sm" c="red">
            {t.incidents.lacks(x.missing.join(', '))}
          </Text>
        )}
        {manage &&
          x.notices.map((n) => (
            <Group key={n.id} gap="sm">
              <State state={n.standing} />
              <Text size="sm" style={{ overflowWrap: 'anywhere' }}>
                {n.customer}: {n.no_contact ? t.incidents.nobody : noticeOf(n)}
              </Text>
            </Group>
          ))}
        {x.unknown.length > 0 && manage && (
          <Text size="sm" c="dimmed" style={{ whiteSpace: 'pre-wrap' }}>
            {`${t.incidents.unknown}\n${x.unknown.join('\n')}`}
          </Text>
        )}
        {x.text && (
          <Text size="sm" style={{ whiteSpace: 'pre-wrap', overflowWrap: 'anywhere' }}>
            {x.text}
          </Text>
        )}
      </Stack>
    </Block>
  );
}

function noticeOf(n: Incident['notices'][number]) {
  if (n.delivered_at) return t.incidents.delivered;
  if (n.failed_at) return t.incidents.failed;
  return n.sent_at ? t.incidents.sent : t.incidents.unsent;
}

function Acts({ of: x }: { of: Incident }) {
  const act = (what: keyof typeof t.incidents.acts, danger: boolean, call: () => Promise<unknown>) => (
    <Button
      key={what}
      size="compact-sm"
      variant="default"
      onClick={() =>
        ask({
          title: t.incidents.acts[what].title,
          text: t.incidents.acts[what].text,
          confirm: t.incidents.acts[what].button,
          danger,
          act: async () => {
            await call();
            await refresh();
            tell(t.incidents.acts[what].done);
          },
        })
      }
    >
      {t.incidents.acts[what].button}
    </Button>
  );
  return (
    <Group gap={6}>
      {act('notify', false, () => must(api.POST('/v1/incidents/{id}/notify', at(x))))}
      {x.state === 'contained'
        ? act('release', false, () => must(api.POST('/v1/incidents/{id}/release', at(x))))
        : act('contain', true, () => must(api.POST('/v1/incidents/{id}/contain', at(x))))}
      {act('close', false, () => must(api.POST('/v1/incidents/{id}/close', at(x))))}
    </Group>
  );
}
