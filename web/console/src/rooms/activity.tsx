import { Button, Select, SimpleGrid, TextInput } from '@mantine/core';
import { IconActivity, IconSearch } from '@tabler/icons-react';
import { useInfiniteQuery } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { useMemo, useState } from 'react';
import { type MessageFilter, q } from '../api/queries';
import { Block, Empty } from '../parts/atoms';
import { RoomButton } from '../parts/link';
import { messageColumns } from '../parts/message-table';
import { Page } from '../parts/page';
import { PagedTable } from '../parts/table';
import { t } from '../texts';
import css from './activity.module.css';

type Search = {
  recipient?: string;
  sender?: string;
  message_id?: string;
  subject?: string;
  outcome?: string;
  direction?: string;
  time?: string;
  from?: string;
  to?: string;
};

const placeholders = {
  recipient: t.activity.placeholderAddress,
  sender: t.activity.placeholderAddress,
  subject: t.activity.placeholderSubject,
  message_id: t.activity.placeholderMessageId,
};

const hour = 3_600_000;
const spans: Record<string, number> = { hour, day: 24 * hour, week: 168 * hour, month: 720 * hour };

/** The address bar's search as the API wants it: times in UTC, nothing empty. */
export function filterOf(search: Search, now: number): MessageFilter {
  const { time, from, to, ...rest } = search;
  const filter: MessageFilter = { ...rest };
  const span = time ? spans[time] : undefined;
  if (span) filter.from = new Date(Math.floor((now - span) / 60_000) * 60_000).toISOString();
  if (time === 'custom') {
    if (from) filter.from = new Date(from).toISOString();
    if (to) filter.to = new Date(to).toISOString();
  }
  return filter;
}

export function Activity() {
  const search = useSearch({ from: '/shell/activity' });
  const filter = useMemo(() => filterOf(search, Date.now()), [search]);
  const query = useInfiniteQuery(q.messages(filter));
  const filtered = Object.keys(search).length > 0;
  return (
    <Page title={t.activity.title} lead={t.activity.lead} wide>
      <Filters search={search} />
      <Block flush>
        <PagedTable
          label={t.activity.table}
          query={query}
          columns={messageColumns}
          rowKey={(m) => m.id}
          empty={filtered ? <NoMatch /> : <NoMail />}
        />
      </Block>
    </Page>
  );
}

function NoMail() {
  return (
    <Empty
      icon={<IconActivity size={22} />}
      title={t.activity.empty}
      text={t.activity.emptyText}
      action={
        <RoomButton to="/" variant="light">
          {t.problem.toOverview}
        </RoomButton>
      }
    />
  );
}

function NoMatch() {
  return (
    <Empty
      icon={<IconSearch size={22} />}
      title={t.activity.emptyFiltered}
      text={t.activity.emptyFilteredText}
      action={
        <RoomButton to="/activity" variant="light">
          {t.common.clear}
        </RoomButton>
      }
    />
  );
}

type Field = 'recipient' | 'sender' | 'subject' | 'message_id';
const fields: Field[] = ['recipient', 'sender', 'subject', 'message_id'];
const fieldLabels = {
  recipient: t.activity.recipient,
  sender: t.activity.sender,
  subject: t.activity.subject,
  message_id: t.activity.messageId,
};

function Filters({ search }: { search: Search }) {
  const navigate = useNavigate();
  const set = (change: Search) => {
    const next: Search = { ...search, ...change };
    for (const key of Object.keys(next) as (keyof Search)[]) if (!next[key]) delete next[key];
    navigate({ to: '/activity', search: next, replace: true });
  };
  const outcomes = ['queued', 'delivered', 'deferred', 'failed', 'held'];
  return (
    <div className={css.filters} role="search" aria-label={t.activity.title}>
      <Term search={search} set={set} />
      <Select
        label={t.activity.outcome}
        data={[
          { value: '', label: t.common.all },
          ...outcomes.map((o) => ({ value: o, label: t.state[o] ?? o })),
        ]}
        value={search.outcome ?? ''}
        onChange={(v) => set({ outcome: v ?? undefined })}
        className={css.select}
      />
      <Select
        label={t.activity.direction}
        data={[
          { value: '', label: t.common.all },
          ...Object.entries(t.direction).map(([value, label]) => ({ value, label })),
        ]}
        value={search.direction ?? ''}
        onChange={(v) => set({ direction: v ?? undefined })}
        className={css.select}
      />
      <Select
        label={t.activity.time}
        data={[
          { value: '', label: t.activity.anyTime },
          { value: 'hour', label: t.activity.hour },
          { value: 'day', label: t.activity.day },
          { value: 'week', label: t.activity.week },
          { value: 'month', label: t.activity.month },
          { value: 'custom', label: t.activity.custom },
        ]}
        value={search.time ?? ''}
        onChange={(v) => set({ time: v ?? undefined, from: undefined, to: undefined })}
        className={css.select}
      />
      {search.time === 'custom' && (
        <SimpleGrid cols={{ base: 1, xs: 2 }} className={css.between}>
          <TextInput
            type="datetime-local"
            label={t.activity.fromTime}
            defaultValue={search.from}
            onBlur={(e) => set({ from: e.currentTarget.value })}
          />
          <TextInput
            type="datetime-local"
            label={t.activity.toTime}
            defaultValue={search.to}
            onBlur={(e) => set({ to: e.currentTarget.value })}
          />
        </SimpleGrid>
      )}
    </div>
  );
}

/** One search term, and which field it is for. */
function Term({ search, set }: { search: Search; set: (change: Search) => void }) {
  const active = fields.find((f) => search[f]) ?? 'recipient';
  const [field, setField] = useState<Field>(active);
  const [term, setTerm] = useState(search[active] ?? '');
  const apply = (f: Field, value: string) =>
    set({
      recipient: undefined,
      sender: undefined,
      subject: undefined,
      message_id: undefined,
      [f]: value.trim() || undefined,
    });
  return (
    <form
      className={css.term}
      onSubmit={(e) => {
        e.preventDefault();
        apply(field, term);
      }}
    >
      <Select
        label={t.activity.searchBy}
        data={fields.map((f) => ({ value: f, label: fieldLabels[f] }))}
        value={field}
        onChange={(v) => {
          setField(v as Field);
          if (term) apply(v as Field, term);
        }}
        className={css.field}
      />
      <TextInput
        label={t.activity.term}
        placeholder={placeholders[field]}
        leftSection={<IconSearch size={16} aria-hidden />}
        value={term}
        onChange={(e) => {
          setTerm(e.currentTarget.value);
          if (e.currentTarget.value === '') apply(field, '');
        }}
        maxLength={field === 'subject' ? 200 : undefined}
        spellCheck={false}
        autoCapitalize="none"
        className={css.input}
      />
      <Button type="submit" variant="default">
        {t.common.search}
      </Button>
    </form>
  );
}
