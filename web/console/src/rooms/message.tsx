import { Button, Grid, Stack, Text } from '@mantine/core';
import {
  IconCircleCheck,
  IconClock,
  IconFileOff,
  IconHandStop,
  IconMailForward,
  IconMailOpened,
  IconPlayerPlay,
  IconPoint,
  IconTrash,
  IconX,
} from '@tabler/icons-react';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useNavigate, useParams } from '@tanstack/react-router';
import type { ComponentType } from 'react';
import { api, bytes, must, Refusal } from '../api/client';
import { q } from '../api/queries';
import type { InboundRecord, MessageDetail, TimelineEntry } from '../api/shapes';
import { ask, tell } from '../parts/ask';
import { Block, CopyIcon, Empty, Facts, State, When } from '../parts/atoms';
import { Direction, sizeOf, titleOf } from '../parts/message-table';
import { Page } from '../parts/page';
import { Loaded, ProblemNote, Waiting } from '../parts/problem';
import { Headers, Reader } from '../parts/reader';
import { t } from '../texts';
import { Conversations } from './conversation';
import css from './message.module.css';
import { Recipients } from './recipients';

export function MessageRoom() {
  const { id } = useParams({ from: '/shell/activity/$id' });
  const query = useQuery({
    ...q.message(id),
    refetchInterval: (state) => (state.state.data && waits(state.state.data) ? 3_000 : false),
  });
  return (
    <Page
      title={query.data ? titleOf(query.data) : t.message.title}
      back={{ to: '/activity', label: t.activity.title }}
      actions={query.data && <Delete id={id} />}
    >
      <Loaded query={query}>{(m) => <Detail message={m} />}</Loaded>
    </Page>
  );
}

/** Whether more may happen to it soon, so that the page keeps looking. */
function waits(message: MessageDetail): boolean {
  return message.state === 'queued' || message.state === 'deferred' || message.state === 'mixed';
}

function Delete({ id }: { id: string }) {
  const navigate = useNavigate();
  const client = useQueryClient();
  return (
    <Button
      variant="default"
      leftSection={<IconTrash size={16} />}
      onClick={() =>
        ask({
          title: t.message.deleteTitle,
          text: t.message.deleteText,
          confirm: t.common.delete,
          danger: true,
          act: async () => {
            await must(api.DELETE('/v1/messages/{id}', { params: { path: { id } } }));
            client.removeQueries({ queryKey: ['message', id] });
            client.invalidateQueries({ queryKey: ['messages'] });
            await navigate({ to: '/activity' });
            tell(t.message.deleted);
          },
        })
      }
    >
      {t.common.delete}
    </Button>
  );
}

function Detail({ message }: { message: MessageDetail }) {
  return (
    <Stack gap="lg">
      <Block>
        <Facts
          items={[
            [t.common.state, <State key="s" state={message.state} />],
            [t.activity.direction, <Direction key="d" direction={message.direction} />],
            [t.common.from, message.sender || t.common.noSender],
            [t.common.received, <When key="w" at={message.received_at} exact />],
            [t.common.size, sizeOf(message)],
            [
              t.message.id,
              <span key="i" className={css.id} data-wide>
                <code>{message.id}</code>
                <CopyIcon value={message.id} label={t.common.copyOf(t.message.id)} />
              </span>,
            ],
            ...(message.tags?.length ? [[t.activity.tags, message.tags.join(', ')] as [string, string]] : []),
          ]}
        />
      </Block>
      <Grid gap="lg">
        <Grid.Col span={{ base: 12, md: 7 }}>
          <Block title={t.message.recipients} flush>
            <Recipients message={message} />
          </Block>
        </Grid.Col>
        <Grid.Col span={{ base: 12, md: 5 }}>
          <Block title={t.message.timeline}>
            <Timeline entries={message.timeline ?? []} />
          </Block>
        </Grid.Col>
      </Grid>
      {message.inbound && (
        <Block title={t.message.inbound}>
          <Facts items={inboundFacts(message.inbound)} />
        </Block>
      )}
      <Content message={message} />
      <Conversations id={message.id} waits={waits(message)} />
    </Stack>
  );
}

/** What the entry says beyond its own heading: "Held. By a person." is "By a person." */
export function beyond(e: TimelineEntry): string {
  const plain = ['accepted', 'delivered', 'cancelled', 'held', 'released', 'retried'].includes(e.kind);
  return plain ? e.text.slice(e.text.indexOf('.') + 1).trim() : e.text;
}

type Look = { icon: ComponentType<{ size?: number }>; tone: string };
const looks: Record<string, Look> = {
  accepted: { icon: IconMailOpened, tone: 'live' },
  delivered: { icon: IconCircleCheck, tone: 'good' },
  deferred: { icon: IconClock, tone: 'wait' },
  failed: { icon: IconX, tone: 'bad' },
  expired: { icon: IconX, tone: 'bad' },
  suppressed: { icon: IconHandStop, tone: 'bad' },
  held: { icon: IconHandStop, tone: 'hold' },
  released: { icon: IconPlayerPlay, tone: 'live' },
  retried: { icon: IconPlayerPlay, tone: 'live' },
  notified: { icon: IconMailForward, tone: 'wait' },
  superseded: { icon: IconPoint, tone: 'calm' },
  cancelled: { icon: IconX, tone: 'calm' },
};
const plainLook: Look = { icon: IconPoint, tone: 'calm' };

function Timeline({ entries }: { entries: TimelineEntry[] }) {
  if (entries.length === 0) {
    return (
      <Text size="sm" c="dimmed">
        {t.message.noTimeline}
      </Text>
    );
  }
  return (
    <ol className={css.timeline}>
      {entries.map((e) => {
        const look = looks[e.kind] ?? plainLook;
        return (
          <li key={`${e.at} ${e.kind} ${e.recipient ?? ''}`} data-tone={look.tone}>
            <span className={css.mark} aria-hidden>
              <look.icon size={14} />
            </span>
            <div className={css.entry}>
              <div className={css.entryHead}>
                <Text size="sm" fw={560}>
                  {t.message.events[e.kind] ?? e.kind}
                </Text>
                <Text size="xs" c="dimmed" component="span">
                  <When at={e.at} exact />
                </Text>
              </div>
              {beyond(e) && (
                <Text size="sm" className={css.break}>
                  {beyond(e)}
                </Text>
              )}
              {(e.recipient || e.by || e.actor) && (
                <Text size="xs" c="dimmed" className={css.break}>
                  {[
                    e.recipient,
                    e.by && t.message.by(e.by),
                    e.actor && t.message.byHand(t.message.actors[e.actor] ?? e.actor),
                  ]
                    .filter(Boolean)
                    .join(' ')}
                </Text>
              )}
              {e.reply && <code className={css.reply}>{e.reply}</code>}
            </div>
          </li>
        );
      })}
    </ol>
  );
}

function inboundFacts(r: InboundRecord): [string, React.ReactNode][] {
  const names = t.message.inboundFields;
  const answer = r.server_response;
  return [
    [names.sender_ip, r.sender_ip ?? t.common.nothing],
    [names.message_id, r.message_id ?? t.common.nothing],
    [names.envelope_sender, r.envelope_sender || t.common.noSender],
    [names.envelope_recipient, r.envelope_recipient ?? t.common.nothing],
    [names.subject, r.subject || t.common.noSubject],
    [names.date_received, <When key="d" at={r.date_received} exact />],
    [
      names.server_response,
      answer ? [answer.status, answer.body].filter(Boolean).join(' ') : t.common.nothing,
    ],
    [names.processing_ms, r.processing_ms === undefined ? t.common.nothing : t.message.took(r.processing_ms)],
  ];
}

function Content({ message }: { message: MessageDetail }) {
  const { id } = message;
  const query = useQuery(q.parsed(id));
  const gone = query.error instanceof Refusal && [404, 410].includes(query.error.status);
  if (gone) {
    return (
      <>
        <Block title={t.message.content}>
          <Empty
            icon={<IconFileOff size={22} />}
            title={t.message.contentGone}
            text={t.message.contentGoneText}
          />
        </Block>
        {message.headers && message.headers.length > 0 && (
          <Block title={t.message.headers} flush>
            <Headers headers={message.headers} />
          </Block>
        )}
      </>
    );
  }
  return (
    <Block title={t.message.content} flush>
      {query.error ? (
        <ProblemNote error={query.error} retry={() => query.refetch()} />
      ) : query.data ? (
        <Reader
          message={{ ...query.data, headers: query.data.headers ?? message.headers }}
          source={{
            key: ['message', id, 'content'],
            load: async (signal) =>
              (await bytes(`/v1/messages/${encodeURIComponent(id)}/content`, signal)).text(),
          }}
          downloadName={`${id}.eml`}
        />
      ) : (
        <Waiting />
      )}
    </Block>
  );
}
