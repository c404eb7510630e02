import { Button, Group, Text } from '@mantine/core';
import { IconHandStop, IconPlayerPlay, IconRefresh, IconX } from '@tabler/icons-react';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { q } from '../api/queries';
import type { MessageDetail, RecipientRow } from '../api/shapes';
import { may } from '../may';
import { State } from '../parts/atoms';
import { RoomLink } from '../parts/link';
import { t } from '../texts';
import css from './message.module.css';
import { type Act, act } from './queue-acts';
import { type Standing, standingOf } from './standing';

/** Each recipient with what happened, what comes next and what can be done. */
export function Recipients({ message }: { message: MessageDetail }) {
  const session = useQuery(q.session).data;
  const waits = (message.recipients ?? []).some((r) => r.state === 'queued' || r.state === 'deferred');
  const pauses = useQuery({ ...q.pauses, enabled: waits && may(session, 'queue:read') }).data ?? [];
  const manages = may(session, 'queue:manage');
  return (
    <ul className={css.recipients}>
      {(message.recipients ?? []).map((r) => {
        const standing = standingOf(message, r, pauses, new Date());
        return (
          <li key={r.id}>
            <div className={css.recipientHead}>
              <span className={css.address}>{r.address}</span>
              <State state={r.state} />
            </div>
            <Said standing={standing} />
            {r.last_reply && <code className={css.reply}>{r.last_reply}</code>}
            <Group justify="space-between" gap="xs">
              <Text size="xs" c="dimmed">
                {(r.attempts ?? 0) > 0 && t.message.attemptsCount(r.attempts ?? 0)}
              </Text>
              {manages && <Acts id={message.id} recipient={r} paused={standing.room === 'queue'} />}
            </Group>
          </li>
        );
      })}
    </ul>
  );
}

function Said({ standing: s }: { standing: Standing }) {
  if (!s.says) return null;
  return (
    <Text size="sm" component="p" className={css.said}>
      {s.says} {s.next} {s.advice}{' '}
      {s.room && (
        <RoomLink to={`/${s.room}`} size="sm" underline="always">
          {t.message.standing.rooms[s.room]}
        </RoomLink>
      )}
    </Text>
  );
}

const icons: Record<Act, typeof IconX> = {
  retry: IconRefresh,
  hold: IconHandStop,
  release: IconPlayerPlay,
  fail: IconX,
};

function actsFor(state: string, paused: boolean): Act[] {
  if (state === 'held') return ['release', 'fail'];
  if (state === 'deferred') return paused ? ['hold', 'fail'] : ['retry', 'hold', 'fail'];
  return state === 'queued' && paused ? ['hold', 'fail'] : [];
}

function Acts({ id, recipient: r, paused }: { id: string; recipient: RecipientRow; paused: boolean }) {
  const client = useQueryClient();
  const acts = actsFor(r.state, paused);
  if (acts.length === 0) return null;
  return (
    <Group gap={6} role="group" aria-label={t.common.moreActions(r.address)}>
      {acts.map((kind) => {
        const Icon = icons[kind];
        return (
          <Button
            key={kind}
            size="compact-xs"
            variant="default"
            leftSection={<Icon size={13} aria-hidden />}
            onClick={() =>
              act(kind, { ids: [r.id] }, r.address, () =>
                client.invalidateQueries({ queryKey: ['message', id] }),
              )
            }
          >
            {t.queue[kind]}
          </Button>
        );
      })}
    </Group>
  );
}
