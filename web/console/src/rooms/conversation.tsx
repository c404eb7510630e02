import { Loader, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Refusal } from '../api/client';
import { q } from '../api/queries';
import { Block, Dot, When } from '../parts/atoms';
import { ProblemNote } from '../parts/problem';
import { t } from '../texts';
import css from './conversation.module.css';
import { deed, isNote, type Talk, talks, toneOf } from './talk';

const words = t.message.talk;
const tones = { taken: 'good', part: 'wait', later: 'wait', refused: 'bad', none: 'calm' };

/** What was said with the receiving server, attempt by attempt, newest first. */
export function Conversations({ id, waits }: { id: string; waits: boolean }) {
  const query = useQuery({ ...q.conversations(id), refetchInterval: waits ? 5_000 : false });
  if (query.isLoading) return <Loader size="sm" />;
  if (query.error) {
    // Who may not read conversations need not hear of them; anything else is shown.
    if (query.error instanceof Refusal && query.error.status === 403) return null;
    return <ProblemNote error={query.error} retry={() => query.refetch()} />;
  }
  const all = talks(query.data ?? []).sort((a, b) => b.at.localeCompare(a.at));
  if (all.length === 0) {
    return (
      <Block title={t.message.conversation}>
        <Text size="sm" c="dimmed">
          {`${t.message.noConversation}. ${t.message.noConversationText}`}
        </Text>
      </Block>
    );
  }
  return (
    <Block title={t.message.conversation} text={words.lead} flush>
      {all.map((talk, i) => (
        <Spoken key={`${talk.at} ${talk.attempt} ${talk.recipients.join()}`} talk={talk} open={i === 0} />
      ))}
    </Block>
  );
}

/** One exchange; without a title it is named by its attempt and its recipients. */
export function Spoken({ talk, open, title }: { talk: Talk; open: boolean; title?: string }) {
  return (
    <details className={css.spoken} open={open}>
      <summary>
        <span className={css.whom}>
          <span>{title ?? t.message.conversationPlain(talk.attempt)}</span>
          {!title && <span className={css.to}>{words.to(talk.recipients)}</span>}
        </span>
        <span className={css.verdict}>
          <Dot tone={tones[talk.verdict]} />
          {words.verdicts[talk.verdict]}
        </span>
        <When at={talk.at} exact />
      </summary>
      <ol className={css.steps}>
        {talk.reused && <li className={css.note}>{words.reused}</li>}
        {talk.steps.map((s, i) => {
          if (isNote(s)) {
            return (
              // biome-ignore lint/suspicious/noArrayIndexKey: steps have no name, and never move
              <li key={i} className={css.note} data-tone={talk.verdict === 'none' ? 'wait' : undefined}>
                {s.got.replace(/^\(|\)$/g, '')}
              </li>
            );
          }
          return (
            // biome-ignore lint/suspicious/noArrayIndexKey: steps have no name, and never move
            <li key={i} className={css.step} data-tone={toneOf(s)}>
              <span className={css.deed}>{words.deeds[deed(s)]}</span>
              <span className={css.lines}>
                {s.sent && <Line who="us" says={s.sent} />}
                {s.got && <Line who="them" says={s.got} />}
              </span>
              <span className={css.took}>{words.took(s.took_ms)}</span>
            </li>
          );
        })}
      </ol>
    </details>
  );
}

function Line({ who, says }: { who: 'us' | 'them'; says: string }) {
  return (
    <span className={css.line} data-who={who}>
      <span className={css.who}>{who === 'us' ? t.message.sent : t.message.got}</span>
      <code>{says}</code>
    </span>
  );
}
