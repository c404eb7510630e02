import { Button, Group, Text } from '@mantine/core';
import { useMediaQuery } from '@mantine/hooks';
import { IconArrowLeft, IconInbox, IconMailOpened, IconTrash } from '@tabler/icons-react';
import { useInfiniteQuery, useQuery, useQueryClient } from '@tanstack/react-query';
import { Link, useNavigate, useParams } from '@tanstack/react-router';
import { api, bytes, must, Refusal } from '../api/client';
import { flat, q } from '../api/queries';
import type { Caught, CaughtRow } from '../api/shapes';
import { offers } from '../may';
import { ask, tell } from '../parts/ask';
import { Block, Empty, When } from '../parts/atoms';
import { size } from '../parts/format';
import { RoomButton, RoomLink } from '../parts/link';
import { Page } from '../parts/page';
import { Loaded, ProblemNote, Waiting } from '../parts/problem';
import { Reader } from '../parts/reader';
import { More } from '../parts/table';
import { t } from '../texts';
import css from './caught.module.css';

/** A list and a reading pane side by side; on a phone one after the other. */
export function CaughtRoom() {
  const here = offers(useQuery(q.session).data, 'caught');
  if (here) return <Inbox />;
  return (
    <Page title={t.caught.title} lead={t.caught.lead}>
      <Off />
    </Page>
  );
}

function Inbox() {
  const { id } = useParams({ strict: false });
  const narrow = useMediaQuery('(max-width: 61.99em)', false, { getInitialValueInEffect: false });
  const query = useInfiniteQuery(q.caught);
  const list = flat(query.data);
  const client = useQueryClient();
  const navigate = useNavigate();

  const deleteAll = () =>
    ask({
      title: t.caught.deleteAllTitle,
      text: t.caught.deleteAllText,
      confirm: t.caught.deleteAll,
      danger: true,
      act: async () => {
        await must(api.DELETE('/v1/caught'));
        await client.resetQueries({ queryKey: ['caught', 'list'] });
        await navigate({ to: '/caught' });
        tell(t.caught.deletedAll);
      },
    });

  const showList = !narrow || !id;
  return (
    <Page
      title={t.caught.title}
      lead={t.caught.lead}
      wide
      actions={
        list.length > 0 &&
        showList && (
          <Button variant="default" leftSection={<IconTrash size={16} />} onClick={deleteAll}>
            {t.caught.deleteAll}
          </Button>
        )
      }
    >
      {!query.data && query.error ? (
        <Refused error={query.error} retry={() => query.refetch()} />
      ) : !query.data ? (
        <Waiting />
      ) : list.length === 0 && !id ? (
        <Block>
          <Nothing />
        </Block>
      ) : (
        <div className={css.panes}>
          {showList && (
            <nav className={css.list} aria-label={t.caught.list}>
              <ul>
                {list.map((m) => (
                  <Row key={m.id} row={m} chosen={m.id === id} />
                ))}
              </ul>
              <More query={query} />
            </nav>
          )}
          {(id || !narrow) && (
            <div className={css.pane}>{id ? <Pane key={id} id={id} narrow={narrow} /> : <Pick />}</div>
          )}
        </div>
      )}
    </Page>
  );
}

function Refused({ error, retry }: { error: unknown; retry: () => void }) {
  if (error instanceof Refusal && error.status === 404) {
    return <Off />;
  }
  return <ProblemNote error={error} retry={retry} />;
}

function Off() {
  return (
    <Block>
      <Empty icon={<IconInbox size={22} />} title={t.caught.off} text={t.caught.offText} />
    </Block>
  );
}

function Nothing() {
  return (
    <Empty
      icon={<IconInbox size={22} />}
      title={t.caught.empty}
      text={t.caught.emptyText}
      action={
        <RoomButton to="/" variant="light">
          {t.caught.toStart}
        </RoomButton>
      }
    />
  );
}

function Pick() {
  return (
    <div className={css.pick}>
      <Empty icon={<IconMailOpened size={22} />} title={t.caught.pick} text={t.caught.pickText} />
    </div>
  );
}

function Row({ row, chosen }: { row: CaughtRow; chosen: boolean }) {
  return (
    <li>
      <Link to="/caught/$id" params={{ id: row.id }} className={css.row} aria-current={chosen || undefined}>
        <span className={css.rowTop}>
          <span className={css.from}>{row.from || t.common.noSender}</span>
          <span className={css.time}>
            <When at={row.received_at} />
          </span>
        </span>
        <span className={css.subject}>{row.subject || t.common.noSubject}</span>
        <span className={css.to}>{(row.to ?? []).join(', ')}</span>
      </Link>
    </li>
  );
}

function Pane({ id, narrow }: { id: string; narrow: boolean | undefined }) {
  const query = useQuery(q.caughtOne(id));
  return (
    <>
      {narrow && (
        <RoomLink to="/caught" size="sm" c="dimmed" className={css.toList}>
          <IconArrowLeft size={15} aria-hidden />
          {t.caught.toList}
        </RoomLink>
      )}
      <Loaded query={query}>{(m) => <Opened id={id} message={m} />}</Loaded>
    </>
  );
}

function Opened({ id, message }: { id: string; message: Caught }) {
  const client = useQueryClient();
  const navigate = useNavigate();
  const remove = () =>
    ask({
      title: t.caught.deleteOneTitle,
      text: t.caught.deleteOneText,
      confirm: t.common.delete,
      danger: true,
      act: async () => {
        await must(api.DELETE('/v1/caught/{id}', { params: { path: { id } } }));
        await navigate({ to: '/caught' });
        client.removeQueries({ queryKey: ['caught', id] });
        await client.resetQueries({ queryKey: ['caught', 'list'] });
        tell(t.caught.deletedOne);
      },
    });
  return (
    <article aria-label={message.subject || t.common.noSubject}>
      <header className={css.head}>
        <Group justify="space-between" align="flex-start" wrap="nowrap" gap="sm">
          <h2 className={css.title}>{message.subject || t.common.noSubject}</h2>
          <Button
            variant="subtle"
            color="gray"
            size="compact-sm"
            onClick={remove}
            leftSection={<IconTrash size={15} />}
            aria-label={t.caught.deleteOne}
            className={css.delete}
          >
            {t.common.delete}
          </Button>
        </Group>
        <dl className={css.envelope}>
          <dt>{t.common.from}</dt>
          <dd>{message.from || t.common.noSender}</dd>
          <dt>{t.common.to}</dt>
          <dd>{(message.to ?? []).join(', ')}</dd>
          <dt>{t.common.received}</dt>
          <dd>
            <When at={message.date} exact />
            <Text span size="sm" c="dimmed">
              {` · ${size(message.size)}`}
            </Text>
          </dd>
        </dl>
      </header>
      <Reader
        message={message}
        source={{
          key: ['caught', id, 'source'],
          load: async (signal) => (await bytes(`/v1/caught/${encodeURIComponent(id)}/source`, signal)).text(),
        }}
        pathOf={(a) => `/v1/caught/${encodeURIComponent(id)}/attachments/${a.index ?? 0}`}
        downloadName={`${id}.eml`}
      />
    </article>
  );
}
