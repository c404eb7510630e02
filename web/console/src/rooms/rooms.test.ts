import { describe, expect, it } from 'vitest';
import { Refusal, rows } from '../api/client';
import { explain } from '../parts/problem';
import { t } from '../texts';
import { filterOf } from './activity';
import { places } from './inventory';
import { readCounts } from './live';
import { beyond } from './message';
import { lines } from './overview';
import { safeNext } from './sign-in';

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
