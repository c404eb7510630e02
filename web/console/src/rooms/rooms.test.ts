import { describe, expect, it } from 'vitest';
import { Refusal, rows } from '../api/client';
import { explain } from '../parts/problem';
import { t } from '../texts';
import { filterOf } from './activity';
import { stateOf } from './controls';
import { places } from './inventory';
import { readCounts } from './live';
import { beyond } from './message';
import { lines } from './overview';
import { conversationFilter } from './protocol';
import { safeNext } from './sign-in';
import { codes, standingOf } from './standing';
import { talks } from './talk';

describe('safeNext', () => {
  it.each([
    ['/queue?state=held', '/queue?state=held'],
    [undefined, '/'],
    ['https://evil.example', '/'],
    ['//evil.example', '/'],
    ['/\\evil.example', '/'],
    ['/sign-in?link=x', '/'],
    ['javascript:alert(1)', '/'],
  ])('%s leads to %s', (next, to) => expect(safeNext(next)).toBe(to));
});

describe('filterOf', () => {
  const now = Date.parse('2026-05-03T12:00:30Z');
  it('turns a span into a time in UTC that is the same for a minute', () => {
    expect(filterOf({ time: 'hour', recipient: 'a@b.c' }, now)).toEqual({
      recipient: 'a@b.c',
      from: '2026-05-03T11:00:00.000Z',
    });
  });
  it('ignores from and to unless the span is custom', () => {
    expect(filterOf({ from: '2026-05-01T00:00' }, now)).toEqual({});
    expect(filterOf({ time: 'custom', to: '2026-05-01T00:00Z' }, now)).toEqual({
      to: '2026-05-01T00:00:00.000Z',
    });
  });
});

describe('conversationFilter', () => {
  it('asks for whole days, the last one too, and for nothing that is empty', () => {
    expect(
      conversationFilter({ from: '2026-05-01', to: '2026-05-01', message: ' msg_1 ', customer: '' }),
    ).toEqual({
      from: '2026-05-01T00:00:00.000Z',
      to: '2026-05-02T00:00:00.000Z',
      message: 'msg_1',
      customer: undefined,
    });
  });
});

describe('lines', () => {
  it('carries the addresses and secrets of this server', () => {
    const l = lines({
      submission: '127.0.0.1:1',
      mx: '127.0.0.1:2',
      http: 'localhost:3',
      domain: 'd.test',
      smtp_username: 'u',
      smtp_password: 'p',
      api_token: 'k',
    });
    expect(l.whole).toBe(true);
    expect(l.smtp).toContain(
      '--server 127.0.0.1:1 --tls --auth-user u --auth-password p --from hello@d.test',
    );
    expect(l.http).toContain("http://localhost:3/v1/messages -H 'Authorization: Bearer k'");
    expect(l.inbound).toContain('--server 127.0.0.1:2');
  });
  it('says that secrets are missing', () => {
    expect(lines({}).whole).toBe(false);
    expect(lines({}).smtp).toContain('SMTP_PASSWORD');
  });
});

describe('explain', () => {
  it('gives the detail, the hint and the fields', () => {
    const e = explain(
      new Refusal(422, {
        title: 'Invalid',
        detail: 'No.',
        hint: 'Do this.',
        errors: [{ location: 'body.to[0]', message: 'is no address' }],
      }),
    );
    expect(e).toEqual({
      title: 'Invalid',
      detail: 'No.',
      hint: 'Do this.',
      fields: ['to[0]: is no address'],
    });
  });
  it('says what to do where the server says nothing', () => {
    expect(explain(new Refusal(403, {})).hint).toBe(t.problem.deniedHint);
    expect(explain(new TypeError('failed to fetch')).hint).toBe(t.problem.networkHint);
  });
});

describe('rows', () => {
  it('reads arrays, pages and nothing alike', () => {
    expect(rows([1])).toEqual([1]);
    expect(rows({ items: [1] })).toEqual([1]);
    expect(rows({ items: null })).toEqual([]);
    expect(rows(null)).toEqual([]);
  });
});

describe('readCounts', () => {
  it('takes counts and nothing else', () => {
    expect(readCounts('{"accepted_today":3}')?.accepted_today).toBe(3);
    expect(readCounts('{"hello":1}')).toBeNull();
    expect(readCounts('ping')).toBeNull();
  });
});

describe('places', () => {
  it('names a table once with its columns', () => {
    expect(places(['column mail.id', 'column mail.at', 'file log.d', 'column by.id'])).toEqual([
      'mail: id, at',
      'by: id',
      'file log.d',
    ]);
  });
});

describe('beyond', () => {
  it.each([
    ['delivered', 'Delivered.', ''],
    ['held', 'Held. Its customer is paused.', 'Its customer is paused.'],
    ['failed', 'Refused for good.', 'Refused for good.'],
  ])('%s: %s', (kind, text, rest) => expect(beyond({ at: '', kind, text })).toBe(rest));
});

describe('standingOf', () => {
  const now = new Date('2026-05-03T12:00:00Z');
  const of = (state: string, reply?: string, kind = '', rest: object = {}) =>
    standingOf(
      {
        direction: 'outbound',
        timeline: kind ? [{ at: '', kind, text: '', recipient: 'a@b.example', ...rest }] : [],
      },
      {
        id: 'rcp_1',
        address: 'a@b.example',
        state: state as 'failed',
        attempts: 1,
        next_attempt_at: '2026-05-03T12:05:00Z',
        last_reply: reply,
      },
      [],
      now,
    );
  const words = t.message.standing;

  it.each([
    ['550 5.1.1 No such user', 'failed', words.unknown],
    ['550-5.7.1 Spam', 'failed', words.policy],
    ['552 Too large', 'failed', words.tooLarge],
    ['554 No', 'failed', words.refused],
    ['550 5.7.1 it is on the suppression list', 'suppressed', words.suppressed],
    ['451 4.4.1 No route', 'expired', words.expired],
  ])('failed with %s: %s', (reply, kind, says) => expect(of('failed', reply, kind).says).toBe(says));

  it('says when it is tried again, and what the matter is', () => {
    expect(of('deferred', '451 4.4.1 No route').says).toBe(words.unreachable);
    expect(of('deferred', '450 Later').next).toContain('in 5 min.');
  });
  it('does not promise an attempt while the domain is paused', () => {
    const paused = standingOf(
      { direction: 'outbound', timeline: [] },
      {
        id: 'rcp_1',
        address: 'a@B.example',
        state: 'queued',
        attempts: 0,
        next_attempt_at: now.toISOString(),
      },
      [{ id: 'job_1', domain: 'b.example', reason: 'moved', since: now.toISOString() }],
      now,
    );
    expect(paused).toEqual({
      says: words.paused('b.example', 'moved'),
      next: words.pausedNext,
      room: 'queue',
    });
  });
  it('names the reason for which it is held', () => {
    expect(of('held', undefined, 'held', { reason: 'They asked.' }).says).toContain('They asked.');
  });
  it('reads codes', () => {
    expect(codes('250-2.0.0 Ok')).toEqual({ code: 250, enhanced: '2.0.0' });
    expect(codes('nonsense')).toEqual({ code: 0, enhanced: '' });
  });
});

describe('talks', () => {
  const step = (sent: string, got: string) => ({ at: '2026-05-03T12:00:00Z', took_ms: 1, sent, got });
  const of = (recipient: string, answer: string, last = '250 2.0.0 Ok') => ({
    recipient,
    attempt: 1,
    at: '2026-05-03T12:00:01Z',
    steps: [
      step('MAIL FROM:<s@d.example>', '250 Ok'),
      step(`RCPT TO:<${recipient}>`, answer),
      step('DATA', '354 Go on'),
      step('(10 octets of message)', last),
    ],
  });

  it('puts recipients of one exchange together, each with its own answer', () => {
    const all = talks([of('a@b.example', '250 Ok'), of('c@b.example', '550 5.1.1 No')]);
    expect(all).toHaveLength(1);
    expect(all[0]?.recipients).toEqual(['a@b.example', 'c@b.example']);
    expect(all[0]?.steps.map((s) => s.sent.slice(0, 4))).toEqual(['MAIL', 'RCPT', 'RCPT', 'DATA', '(10 ']);
    expect(all[0]?.verdict).toBe('part');
    expect(all[0]?.reused).toBe(true);
  });
  it('keeps exchanges apart that only look alike', () => {
    const other = { ...of('c@b.example', '250 Ok'), attempt: 2 };
    expect(talks([of('a@b.example', '250 Ok'), other])).toHaveLength(2);
  });
  it.each([
    ['250 Ok', '250 Ok', 'taken'],
    ['250 Ok', '554 5.7.1 No', 'refused'],
    ['451 4.7.1 Later', '', 'later'],
  ])('%s, then %s: %s', (rcpt, last, verdict) =>
    expect(talks([of('a@b.example', rcpt, last)])[0]?.verdict).toBe(verdict),
  );
  it('has no verdict where nothing was answered', () => {
    const note = { recipient: 'a@b.example', attempt: 1, at: '', steps: [step('', '(no connection to b)')] };
    expect(talks([note, { ...note, recipient: 'c@b.example' }]).map((x) => x.verdict)).toEqual([
      'none',
      'none',
    ]);
  });
});

describe('stateOf', () => {
  it('tells a check that did not run from a promise without one', () => {
    const control = {
      id: 'x',
      says: '',
      kind: '',
      status: 'not_yet',
      evidence: '',
      checked_at: null,
    } as const;
    expect(stateOf({ ...control, probed: true })).toBe('to_run');
    expect(stateOf({ ...control, probed: false })).toBe('not_yet');
  });
});
