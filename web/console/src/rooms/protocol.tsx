import { Button, Group, Stack, TextInput } from '@mantine/core';
import { IconMessages, IconSearch } from '@tabler/icons-react';
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';
import { type ConversationFilter, flat, q } from '../api/queries';
import { Block, Empty } from '../parts/atoms';
import { Page } from '../parts/page';
import { ProblemNote, Waiting } from '../parts/problem';
import { More } from '../parts/table';
import { t } from '../texts';
import { Spoken } from './conversation';
import { talks } from './talk';

type Asked = { message: string; customer: string; from: string; to: string };

const nothing: Asked = { message: '', customer: '', from: '', to: '' };

/** What is asked for as the server takes it: whole days in UTC, and nothing that is empty. */
export function conversationFilter(asked: Asked): ConversationFilter {
  const day = (text: string, plus: number) =>
    text === '' ? undefined : new Date(Date.parse(`${text}T00:00:00Z`) + plus * 86_400_000).toISOString();
  return {
    message: asked.message.trim() || undefined,
    customer: asked.customer.trim() || undefined,
    from: day(asked.from, 0),
    to: day(asked.to, 1),
  };
}

/** SMTP conversations by their time, also of messages whose records are gone. */
export function Protocol() {
  const [asked, setAsked] = useState(nothing);
  const session = useQuery(q.session).data;
  const query = useInfiniteQuery(q.protocol(conversationFilter(asked)));
  const found = flat(query.data);
  return (
    <Page title={t.protocol.title} lead={t.protocol.lead}>
      <Block title={t.protocol.search}>
        <Search asked={asked} search={setAsked} everybody={session?.roles.includes('custodian') ?? false} />
      </Block>
      {!query.data && query.error ? (
        <ProblemNote error={query.error} retry={() => query.refetch()} />
      ) : !query.data ? (
        <Waiting />
      ) : found.length === 0 ? (
        <Block>
          <Empty icon={<IconMessages size={22} />} title={t.protocol.empty} text={t.protocol.emptyText} />
        </Block>
      ) : (
        <Block title={t.protocol.found} text={t.protocol.foundText} flush>
          {found.map((c) =>
            talks([{ recipient: c.message, attempt: 0, at: c.at, steps: c.steps }]).map((talk) => (
              <Spoken key={c.id} talk={talk} open={false} title={t.protocol.of(c.message)} />
            )),
          )}
          <More query={query} />
        </Block>
      )}
    </Page>
  );
}

function Search({
  asked,
  search,
  everybody,
}: {
  asked: Asked;
  search: (asked: Asked) => void;
  everybody: boolean;
}) {
  const [typed, setTyped] = useState(asked);
  const field = (name: keyof Asked, label: string, type = 'text') => (
    <TextInput
      label={label}
      type={type}
      value={typed[name]}
      onChange={(e) => setTyped({ ...typed, [name]: e.currentTarget.value })}
    />
  );
  const submit = (e: FormEvent) => {
    e.preventDefault();
    search(typed);
  };
  return (
    <form onSubmit={submit}>
      <Stack gap="sm">
        <Group grow align="end" preventGrowOverflow={false}>
          {field('from', t.protocol.from, 'date')}
          {field('to', t.protocol.to, 'date')}
          {field('message', t.protocol.message)}
          {everybody && field('customer', t.protocol.customer)}
        </Group>
        <Group>
          <Button type="submit" leftSection={<IconSearch size={16} />}>
            {t.protocol.search}
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
