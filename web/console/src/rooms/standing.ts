import type { MessageDetail, Pause, RecipientRow, TimelineEntry } from '../api/shapes';
import { nearTime, parseTime } from '../parts/format';
import { t } from '../texts';

/** What an administrator wants to know of one recipient: what happened, what comes next, what to do. */
export type Standing = {
  says: string;
  next?: string;
  advice?: string;
  /** The room where something can be done about it. */
  room?: 'suppressions' | 'queue' | 'routes' | 'domains';
};

const words = t.message.standing;

/** The reply's basic code and its enhanced one, as far as it has them (RFC 3463). */
export function codes(reply: string | undefined): { code: number; enhanced: string } {
  const found = /^(\d{3})(?:[ -](\d\.\d{1,3}\.\d{1,3}))?/.exec(reply ?? '');
  return { code: Number(found?.[1] ?? 0), enhanced: found?.[2] ?? '' };
}

/** The last thing that happened to the recipient; what is said of all recipients counts too. */
function last(entries: TimelineEntry[], address: string): TimelineEntry | undefined {
  return entries.filter((e) => e.kind !== 'notified' && (e.recipient ?? address) === address).at(-1);
}

export function standingOf(
  m: Pick<MessageDetail, 'direction' | 'timeline'>,
  r: RecipientRow,
  pauses: Pause[],
  now: Date,
): Standing {
  const entries = m.timeline ?? [];
  const entry = last(entries, r.address);
  const inbound = m.direction === 'inbound';
  switch (r.state) {
    case 'delivered':
      return { says: taken(r, inbound) };
    case 'failed':
      return failed(r, entry, inbound, told(m));
    case 'held':
      return { says: words.held(entry?.reason), next: words.heldNext, advice: words.heldAdvice };
    case 'deferred':
    case 'queued':
      return waiting(r, pauses, inbound, now);
    default:
      return { says: '' };
  }
}

function told(m: Pick<MessageDetail, 'timeline'>): boolean {
  return (m.timeline ?? []).some((e) => e.kind === 'notified');
}

function taken(r: RecipientRow, inbound: boolean): string {
  if (r.last_reply?.includes('built-in inbox')) return words.caught;
  return inbound ? words.takenWebhook : words.taken;
}

function waiting(r: RecipientRow, pauses: Pause[], inbound: boolean, now: Date): Standing {
  const domain = r.address.slice(r.address.lastIndexOf('@') + 1).toLowerCase();
  const pause = pauses.find((p) => p.domain === domain);
  const says = r.state === 'queued' ? words.queued : refusedForNow(r, inbound);
  if (pause) {
    const paused = words.paused(domain, pause.reason);
    return {
      says: r.state === 'queued' ? paused : `${says} ${paused}`,
      next: words.pausedNext,
      room: 'queue',
    };
  }
  const at = parseTime(r.next_attempt_at);
  if (!at) return { says };
  const next = at <= now ? words.nextSoon : words.next(nearTime(at, now));
  if (r.state === 'queued') return { says, next };
  const away = says === words.unreachable;
  const advice = inbound ? words.webhookAdvice : away ? words.unreachableAdvice : words.deferredAdvice;
  return { says, next, advice, room: inbound ? 'routes' : undefined };
}

/** Why it was deferred, by the subject of the enhanced code (RFC 3463 3.1 to 3.8). */
function refusedForNow(r: RecipientRow, inbound: boolean): string {
  const { code, enhanced } = codes(r.last_reply);
  if (inbound) {
    // A code with an enhanced one is ours: the endpoint answers in HTTP.
    return /^4\.4\.[12]$/.test(enhanced) ? words.webhookAway : words.webhookNotNow(enhanced ? 0 : code);
  }
  if (/^4\.4\.[12]$/.test(enhanced)) return words.unreachable;
  if (enhanced === '4.2.2') return words.full;
  if (code === 450 || (code === 451 && enhanced === '4.7.1')) return words.greylisted;
  return words.notNow;
}

function failed(
  r: RecipientRow,
  entry: TimelineEntry | undefined,
  inbound: boolean,
  report: boolean,
): Standing {
  const next = report ? words.failedTold : words.failedNext;
  switch (entry?.kind) {
    case 'suppressed':
      return { says: words.suppressed, advice: words.suppressedAdvice, room: 'suppressions' };
    case 'cancelled':
      return { says: words.cancelled };
    case 'expired':
      return { says: words.expired, next, advice: inbound ? words.webhookAdvice : words.expiredAdvice };
  }
  if (entry?.actor) return { says: words.byHand, next };
  if (inbound) {
    return { says: words.webhookRefused, next, advice: words.webhookRefusedAdvice, room: 'routes' };
  }
  return { ...refused(r), next };
}

/** Why it was refused for good, by the enhanced code. */
function refused(r: RecipientRow): Standing {
  const { code, enhanced } = codes(r.last_reply);
  if (enhanced === '5.1.2' || enhanced === '5.4.4' || enhanced === '5.1.10')
    return { says: words.noDomain, advice: words.checkSpelling };
  if (enhanced.startsWith('5.1.') || enhanced === '5.2.1')
    return { says: words.unknown, advice: words.unknownAdvice, room: 'suppressions' };
  if (enhanced === '5.2.2') return { says: words.fullForGood, advice: words.fullAdvice };
  if (enhanced === '5.3.4' || enhanced === '5.2.3' || code === 552)
    return { says: words.tooLarge, advice: words.tooLargeAdvice };
  if (enhanced.startsWith('5.7.')) return { says: words.policy, advice: words.policyAdvice, room: 'domains' };
  return { says: words.refused, advice: words.refusedAdvice };
}
