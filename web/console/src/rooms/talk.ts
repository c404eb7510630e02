import type { Conversation } from '../api/shapes';
import { codes } from './standing';

type Step = NonNullable<Conversation['steps']>[number];

/** One attempt as it was spoken: several recipients of it share one exchange. */
export type Talk = {
  attempt: number;
  at: string;
  recipients: string[];
  steps: Step[];
  /** Whether the connection had been used before, so that greeting and TLS are not in it. */
  reused: boolean;
  verdict: Verdict;
};

export type Verdict = 'taken' | 'part' | 'later' | 'refused' | 'none';

/** A step of the house's own: nothing was sent, and what stands there was not answered. */
export const isNote = (s: Step) => !s.sent && s.got.startsWith('(');

const isRecipient = (s: Step) => /^RCPT /i.test(s.sent);
const same = (a: Step, b: Step) => a.at === b.at && a.sent === b.sent && a.got === b.got;

/** Puts together what was one exchange: the server tells it once for each recipient. */
export function talks(list: Conversation[]): Talk[] {
  const found = new Map<string, Talk>();
  for (const c of list) {
    const steps = c.steps ?? [];
    const shared = steps.filter((s) => !isRecipient(s));
    const key = JSON.stringify([c.attempt, shared.map((s) => [s.at, s.sent, s.got])]);
    const talk = found.get(key);
    if (!talk || !shared.some((s) => s.sent)) {
      found.set(talk ? `${key} ${c.recipient}` : key, {
        attempt: c.attempt,
        at: c.at,
        recipients: c.recipient ? [c.recipient] : [],
        steps: [...steps],
        reused: false,
        verdict: 'none',
      });
      continue;
    }
    if (c.recipient) talk.recipients.push(c.recipient);
    for (const s of steps.filter(isRecipient)) {
      if (talk.steps.some((have) => same(have, s))) continue;
      talk.steps.splice(talk.steps.findLastIndex(isRecipient) + 1, 0, s);
    }
  }
  return [...found.values()].map((talk) => ({
    ...talk,
    reused: /^MAIL /i.test(talk.steps.find((s) => !isNote(s))?.sent ?? ''),
    verdict: verdict(talk.steps),
  }));
}

function verdict(steps: Step[]): Verdict {
  const content = steps.findLast((s) => /^\(|^BDAT/i.test(s.sent));
  const refusals = steps.filter((s) => toneOf(s) === 'bad' || toneOf(s) === 'wait');
  if (content && codes(content.got).code < 300 && codes(content.got).code >= 200)
    return refusals.some(isRecipient) ? 'part' : 'taken';
  if (refusals.length === 0) return 'none';
  return refusals.some((s) => toneOf(s) === 'wait') ? 'later' : 'refused';
}

export type Tone = 'good' | 'wait' | 'bad' | 'note';

/** What an answer means, by its first digit (RFC 5321 4.2.1). */
export function toneOf(s: Step): Tone {
  if (isNote(s)) return 'note';
  const { code } = codes(s.got);
  if (code >= 500) return 'bad';
  return code >= 400 ? 'wait' : 'good';
}

const verbs: [RegExp, string][] = [
  [/^(EHLO|HELO)/i, 'hello'],
  [/^STARTTLS/i, 'tls'],
  [/^AUTH/i, 'auth'],
  [/^MAIL/i, 'mail'],
  [/^RCPT/i, 'rcpt'],
  [/^(DATA)/i, 'data'],
  [/^(\(|BDAT)/i, 'message'],
  [/^RSET/i, 'reset'],
  [/^QUIT/i, 'quit'],
];

/** What is done in a step, as a word of the catalogue. */
export function deed(s: Step): string {
  if (!s.sent) return isNote(s) ? 'note' : 'greeting';
  return verbs.find(([verb]) => verb.test(s.sent))?.[1] ?? 'other';
}
