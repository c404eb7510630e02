import { ActionIcon, Alert, Button, Group, Menu, Select, Stack, Text, TextInput } from '@mantine/core';
import { IconDots, IconPlayerPause, IconPlayerPlay, IconSearch, IconStack2 } from '@tabler/icons-react';
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { useState } from 'react';
import { api, must } from '../api/client';
import { q } from '../api/queries';
import type { Pause, QueueRow, QueueSummary } from '../api/shapes';
import { may } from '../may';
import { ask, openForm, tell } from '../parts/ask';
import { Block, Empty, State, When } from '../parts/atoms';
import { FormBox } from '../parts/form';
import { count } from '../parts/format';
import { RoomButton, RoomLink } from '../parts/link';
import { Page } from '../parts/page';
import { Loaded } from '../parts/problem';
import { type Column, DataTable, PagedTable } from '../parts/table';
import { t } from '../texts';
import css from './queue.module.css';
import { act, acts, refresh } from './queue-acts';

export function QueueRoom() {
  const session = useQuery(q.session).data;
  const manages = may(session, 'queue:manage');
  return (
    <Page title={t.queue.title} lead={t.queue.lead} wide>
      <Stack gap="lg">
        <Pauses manages={manages} />
        <Summary manages={manages} />
        <Recipients manages={manages} />
      </Stack>
    </Page>
  );
}

function Pauses({ manages }: { manages: boolean }) {
  const pauses = useQuery(q.pauses).data ?? [];
  if (pauses.length === 0) return null;
  return (
    <Alert variant="light" color="orange" icon={<IconPlayerPause size={18} />} title={t.queue.pausesTitle}>
      <ul className={css.pauses}>
        {pauses.map((p) => (
          <li key={p.id}>
            <span>
              {t.queue.pausedBecause(p.domain ?? p.customer ?? '', p.reason)}{' '}
              <span className={css.since}>
                {t.queue.since} <When at={p.since} exact />
              </span>
            </span>
            {manages && <Resume pause={p} />}
          </li>
        ))}
      </ul>
    </Alert>
  );
}

function Resume({ pause }: { pause: Pause }) {
  const [busy, setBusy] = useState(false);
  const name = pause.domain ?? pause.customer ?? '';
  async function run() {
    setBusy(true);
    try {
      await must(api.POST('/v1/queue/resume', { body: { domain: pause.domain, customer: pause.customer } }));
      tell(t.queue.resumed(name));
      await refresh();
    } catch {
      resumeAsked(pause);
    } finally {
      setBusy(false);
    }
  }
  return (
    <Button
      size="compact-sm"
      variant="default"
      leftSection={<IconPlayerPlay size={14} />}
      loading={busy}
      onClick={run}
    >
      {t.queue.resume}
    </Button>
  );
}

/** A refused resume opens the dialog, which shows the reason and can try again. */
function resumeAsked(pause: Pause) {
  const name = pause.domain ?? pause.customer ?? '';
  ask({
    title: t.queue.resume,
    text: t.queue.resumed(name),
    confirm: t.common.retry,
    act: async () => {
      await must(api.POST('/v1/queue/resume', { body: { domain: pause.domain, customer: pause.customer } }));
      await refresh();
    },
  });
}

function pause(domain: string) {
  openForm(t.queue.pauseTitle(domain), (close) => <PauseForm domain={domain} close={close} />);
}

function PauseForm({ domain, close }: { domain: string; close: () => void }) {
  const [reason, setReason] = useState('');
  const [missing, setMissing] = useState(false);
  return (
    <FormBox
      submit={t.queue.pause}
      cancel={close}
      onSubmit={() => {
        setMissing(!reason.trim());
        if (!reason.trim()) return false;
        return must(api.POST('/v1/queue/pause', { body: { domain, reason: reason.trim() } })).then(() => {
          close();
          tell(t.queue.paused(domain));
          return refresh();
        });
      }}
    >
      <Text size="sm">{t.queue.pauseText}</Text>
      <TextInput
        label={t.queue.pauseReason}
        description={t.queue.pauseReasonHelp}
        value={reason}
        onChange={(e) => setReason(e.currentTarget.value)}
        error={missing && !reason.trim() ? t.queue.needReason : null}
        data-autofocus
      />
    </FormBox>
  );
}

function Summary({ manages }: { manages: boolean }) {
  const query = useQuery(q.queueSummary);
  const columns: Column<QueueSummary>[] = [
    {
      id: 'domain',
      title: t.queue.domain,
      lead: true,
      sort: (s) => s.domain,
      cell: (s) => (
        <RoomLink to="/queue" search={{ domain: s.domain }} className={css.link}>
          {s.domain}
        </RoomLink>
      ),
    },
    {
      id: 'waiting',
      title: t.queue.waiting,
      align: 'right',
      sort: (s) => s.ready + s.deferred,
      cell: (s) => count(s.ready + s.deferred),
    },
    {
      id: 'paused',
      title: t.queue.pausedCount,
      align: 'right',
      sort: (s) => s.paused,
      cell: (s) => count(s.paused),
    },
    { id: 'held', title: t.queue.held, align: 'right', sort: (s) => s.held, cell: (s) => count(s.held) },
    {
      id: 'oldest',
      title: t.queue.oldest,
      sort: (s) => s.oldest_at ?? '',
      // What is paused has no time at which it is tried.
      cell: (s) => <When at={s.ready + s.deferred > 0 ? s.oldest_at : null} />,
    },
    {
      id: 'reply',
      title: t.queue.lastReply,
      grow: true,
      cell: (s) => (
        <code className={css.reply} title={s.last_reply}>
          {s.last_reply || t.common.nothing}
        </code>
      ),
    },
  ];
  if (manages) {
    columns.push({
      id: 'acts',
      title: t.common.actions,
      align: 'right',
      cell: (s) => <DomainActs domain={s.domain} />,
    });
  }
  return (
    <Block title={t.queue.summary} flush>
      <Loaded query={query}>
        {(rows) =>
          rows.length === 0 ? (
            <Empty icon={<IconStack2 size={22} />} title={t.queue.empty} text={t.queue.emptyText} />
          ) : (
            <DataTable
              label={t.queue.summary}
              columns={columns}
              rows={rows}
              rowKey={(s) => `${s.domain} ${s.customer ?? ''}`}
            />
          )
        }
      </Loaded>
    </Block>
  );
}

function DomainActs({ domain }: { domain: string }) {
  const what = t.queue.target.domain(domain);
  return (
    <Menu width={180}>
      <Menu.Target>
        <ActionIcon variant="subtle" color="gray" aria-label={t.common.moreActions(domain)}>
          <IconDots size={17} />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        {acts.map((kind) => (
          <Menu.Item
            key={kind}
            onClick={() => act(kind, { domain }, what)}
            c={kind === 'fail' ? 'var(--app-bad)' : undefined}
          >
            {t.queue[kind]}
          </Menu.Item>
        ))}
        <Menu.Divider />
        <Menu.Item onClick={() => pause(domain)}>{t.queue.pause}</Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}

const recipientColumns: Column<QueueRow>[] = [
  { id: 'state', title: t.common.state, cell: (r) => <State state={r.state} /> },
  {
    id: 'recipient',
    title: t.queue.recipient,
    lead: true,
    cell: (r) => (
      <RoomLink to="/activity/$id" params={{ id: r.message }} className={css.link}>
        {r.recipient}
      </RoomLink>
    ),
  },
  { id: 'attempts', title: t.queue.attempts, align: 'right', cell: (r) => count(r.attempts) },
  {
    id: 'due',
    title: t.queue.due,
    cell: (r) => <When at={r.state === 'paused' || r.state === 'held' ? null : r.due_at} />,
  },
  { id: 'expires', title: t.queue.expires, wideOnly: true, cell: (r) => <When at={r.expires_at} /> },
  {
    id: 'reply',
    title: t.queue.why,
    grow: true,
    cell: (r) =>
      r.why ? (
        <Text size="sm" truncate title={r.why}>
          {r.why}
        </Text>
      ) : (
        <code className={css.reply} title={r.last_reply}>
          {r.last_reply || t.common.nothing}
        </code>
      ),
  },
];

function Recipients({ manages }: { manages: boolean }) {
  const search = useSearch({ from: '/shell/queue' });
  const navigate = useNavigate();
  const query = useInfiniteQuery({ ...q.queue(search), refetchInterval: 15_000 });
  const [chosen, setChosen] = useState<Set<string>>(new Set());
  const filtered = Boolean(search.state || search.domain);
  const set = (change: { state?: string; domain?: string }) => {
    const next = { ...search, ...change };
    setChosen(new Set());
    navigate({
      to: '/queue',
      search: { ...(next.state && { state: next.state }), ...(next.domain && { domain: next.domain }) },
      replace: true,
    });
  };
  return (
    <Block title={t.queue.list} flush aside={<Filters search={search} set={set} />}>
      {chosen.size > 0 && <Bulk chosen={chosen} clear={() => setChosen(new Set())} />}
      <PagedTable
        label={t.queue.list}
        query={query}
        columns={recipientColumns}
        rowKey={(r) => r.id}
        nameOf={(r) => r.recipient}
        chosen={manages ? chosen : undefined}
        onChoose={manages ? setChosen : undefined}
        empty={
          filtered ? (
            <Empty
              icon={<IconSearch size={22} />}
              title={t.queue.emptyFiltered}
              text={t.queue.emptyFilteredText}
              action={
                <RoomButton to="/queue" variant="light">
                  {t.common.clear}
                </RoomButton>
              }
            />
          ) : (
            <Empty icon={<IconStack2 size={22} />} title={t.queue.empty} text={t.queue.emptyText} />
          )
        }
      />
    </Block>
  );
}

function Bulk({ chosen, clear }: { chosen: Set<string>; clear: () => void }) {
  const ids = [...chosen];
  return (
    <Group className={css.bulk} gap="xs" role="toolbar" aria-label={t.common.actions}>
      <Text size="sm" fw={550} mr="xs">
        {t.common.selected(ids.length)}
      </Text>
      {acts.map((kind) => (
        <Button
          key={kind}
          size="compact-sm"
          variant="default"
          onClick={() => act(kind, { ids }, t.queue.target.ids(ids.length), clear)}
        >
          {t.queue[kind]}
        </Button>
      ))}
    </Group>
  );
}

function Filters({
  search,
  set,
}: {
  search: { state?: string; domain?: string };
  set: (s: { state?: string; domain?: string }) => void;
}) {
  const [domain, setDomain] = useState(search.domain ?? '');
  const [seen, setSeen] = useState(search.domain);
  if (seen !== search.domain) {
    setSeen(search.domain);
    setDomain(search.domain ?? '');
  }
  return (
    <Group gap="xs" role="search" aria-label={t.queue.list} className={css.filters}>
      <Select
        size="xs"
        aria-label={t.queue.filterState}
        data={[
          { value: '', label: t.common.all },
          ...['ready', 'leased', 'deferred', 'held', 'paused'].map((s) => ({
            value: s,
            label: t.state[s] ?? s,
          })),
        ]}
        value={search.state ?? ''}
        onChange={(v) => set({ state: v || undefined })}
        w={130}
      />
      <form
        onSubmit={(e) => {
          e.preventDefault();
          set({ domain: domain.trim() || undefined });
        }}
      >
        <TextInput
          size="xs"
          aria-label={t.queue.filterDomain}
          placeholder={t.queue.filterDomain}
          leftSection={<IconSearch size={14} aria-hidden />}
          value={domain}
          onChange={(e) => {
            setDomain(e.currentTarget.value);
            if (!e.currentTarget.value) set({ domain: undefined });
          }}
          w={190}
        />
      </form>
    </Group>
  );
}
