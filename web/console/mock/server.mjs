// A stand-in for the server while the console is developed and its browser tests
// are written. Serves the built console as the binary does (same headers), the
// API's paths from memory, and nothing that must be kept. Development only.
//   node mock/server.mjs [--empty] [--port 8099]
import { randomBytes } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { dirname, extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as data from './data.mjs';

const args = process.argv.slice(2);
const empty = args.includes('--empty');
const port = Number(args[args.indexOf('--port') + 1] || 8099) || 8099;
const dist = join(dirname(fileURLToPath(import.meta.url)), '../dist');
const now = Date.now();
const { id, iso } = data;

const make = (n, f) => (empty ? [] : Array.from({ length: n }, (_, i) => f(i)));
const state = {
  messages: make(130, (i) => data.message(now, i)),
  queue: make(74, () => data.queueRow(now)),
  pauses: empty
    ? []
    : [
        {
          domain: 'uni.example.edu',
          reason: 'their postmaster asked us to wait until Monday',
          since: iso(now - 7_200_000),
        },
      ],
  domains: empty
    ? []
    : [
        data.domain('shop.example.org', 'verified'),
        data.domain('news.example.org', 'failed'),
        data.domain('new.example.org', 'pending'),
      ],
  routes: empty
    ? []
    : [
        {
          id: id('rte'),
          recipient: '*@in.example.org',
          webhook: { url: 'https://app.example.org/hooks/inbound-mail' },
          created_at: iso(now - 9e7),
        },
      ],
  tokens: empty
    ? []
    : [
        {
          id: id('tok'),
          name: 'Billing service',
          scopes: ['messages:send', 'messages:read'],
          created_at: iso(now - 9e8),
          expires_at: null,
          last_used_at: iso(now - 40_000),
        },
      ],
  credentials: empty
    ? []
    : [
        {
          id: id('crd'),
          name: 'Web shop',
          username: 'smtp_4k2m9x',
          created_at: iso(now - 9e8),
          last_used_at: iso(now - 90_000),
        },
        {
          id: id('crd'),
          name: 'Printers',
          network: '10.20.0.0/16',
          created_at: iso(now - 5e8),
          last_used_at: null,
        },
      ],
  users: [
    { id: id('usr'), email: 'ada@example.org', name: 'Ada', role: 'owner', created_at: iso(now - 9e9) },
    ...make(1, () => ({
      id: id('usr'),
      email: 'grace@example.org',
      name: 'Grace',
      role: 'developer',
      created_at: iso(now - 9e8),
    })),
  ],
  suppressions: make(3, (i) => ({
    id: id('sup'),
    address: ['nobody@example.net', 'old@post.example.com', 'complained@example.de'][i],
    reason: ['hard_bounce', 'manual', 'complaint'][i],
    until: i === 1 ? iso(now + 9e9) : null,
    created_at: iso(now - i * 1e8),
  })),
  customers: [{ id: id('ten'), name: 'Example Ltd', created_at: iso(now - 9e9) }],
  caught: make(9, (i) => ({
    id: id('msg'),
    from: 'Billing <billing@shop.example.org>',
    to: [`${['ada', 'grace', 'linus'][i % 3]}@example.net`],
    subject: [
      'Your invoice 2026-1187 is ready',
      'Confirm your e-mail address',
      'Weekly report: 14 open tickets',
      '',
    ][i % 4],
    received_at: iso(now - i * i * 260_000 - 5000),
    size: 4200 + i * 977,
  })),
  signedIn: false,
};

const session = {
  user: { id: id('usr'), email: 'ada@example.org', name: 'Ada' },
  customer: state.customers[0],
  roles: ['owner', 'operator'],
  permissions: ['*'],
  features: ['caught'],
};

const problem = (status, title, detail, hint, errors) => ({
  status,
  problem: {
    type: 'about:blank',
    title,
    status,
    detail,
    hint,
    errors,
    instance: `/problems/${randomBytes(6).toString('hex')}`,
  },
});
const lost = () => problem(404, 'Not found', 'There is no such thing, or it was deleted.');

function page(list, query) {
  const limit = Math.min(Number(query.get('limit')) || 50, 100);
  const from = Number(query.get('cursor')) || 0;
  return {
    items: list.slice(from, from + limit),
    next: from + limit < list.length ? String(from + limit) : null,
  };
}

function overview(query) {
  const count = (s) => state.messages.filter((m) => m.state === s).length;
  return {
    accepted_today: empty ? 0 : 18_402 + Math.floor((Date.now() - now) / 700),
    delivered_today: empty ? 0 : 17_961 + Math.floor((Date.now() - now) / 800),
    deferred_now: empty ? 0 : count('deferred'),
    failed_today: empty ? 0 : 214,
    queued_now: state.queue.length,
    series: empty
      ? data
          .series(Date.now(), query.get('range'))
          .map((p) => ({ at: p.at, accepted: 0, delivered: 0, deferred: 0, failed: 0 }))
      : data.series(Date.now(), query.get('range')),
    start: {
      submission: '127.0.0.1:2587',
      mx: '127.0.0.1:2525',
      http: `localhost:${port}`,
      domain: 'demo.mailvow.test',
      smtp_username: 'demo',
      smtp_password: 'k3xq-demo-password',
      api_token: 'mv_demo_3p9f0',
    },
  };
}

function searchMessages(query) {
  const has = (name, f) => !query.get(name) || f(query.get(name).toLowerCase());
  return state.messages.filter(
    (m) =>
      has('outcome', (v) => m.state === v) &&
      has('direction', (v) => m.direction === v) &&
      has('sender', (v) => m.sender.toLowerCase() === v) &&
      has('message_id', (v) => m.id === v) &&
      has('recipient', (v) => m.recipients.some((r) => r.address.toLowerCase() === v)) &&
      has('from', () => Date.parse(m.received_at) >= Date.parse(query.get('from'))) &&
      has('to', () => Date.parse(m.received_at) <= Date.parse(query.get('to'))),
  );
}

function summary() {
  const by = new Map();
  for (const r of state.queue) {
    const s = by.get(r.domain) ?? {
      domain: r.domain,
      customer: 'Example Ltd',
      ready: 0,
      deferred: 0,
      held: 0,
      oldest_at: iso(now - 3_600_000 * (by.size + 1)),
      last_reply: r.last_reply,
    };
    if (r.state in s) s[r.state] += 1;
    by.set(r.domain, s);
  }
  return [...by.values()];
}

function act(kind, body) {
  const hit = state.queue.filter(
    (r) => body.ids?.includes(r.id) || r.domain === body.domain || r.message === body.message,
  );
  if (kind === 'fail') state.queue = state.queue.filter((r) => !hit.includes(r));
  for (const r of hit) r.state = { retry: 'ready', hold: 'held', release: 'ready' }[kind] ?? r.state;
  return { count: hit.length };
}

const summaryOf = ({ recipients, timeline, inbound, ...row }) => ({
  ...row,
  recipient: recipients[0]?.address,
});
const drop = (list, wanted) => {
  const i = list.findIndex((x) => x.id === wanted);
  if (i < 0) return lost();
  list.splice(i, 1);
  return { status: 204 };
};
const find = (list, wanted) => list.find((x) => x.id === wanted) ?? lost();
const add = (list, item) => {
  list.unshift(item);
  return { status: 201, body: item };
};
const without = (item, ...keys) =>
  Object.fromEntries(Object.entries(item).filter(([k]) => !keys.includes(k)));

function newDomain({ name }) {
  if (state.domains.some((d) => d.name === name)) {
    return problem(409, 'Conflict', `${name} is already here.`, 'Open it in the list of domains.', [
      { location: 'body.name', message: 'is taken' },
    ]);
  }
  return add(state.domains, data.domain(name, 'pending'));
}

function newToken(body) {
  const made = { id: id('tok'), ...body, created_at: iso(Date.now()), last_used_at: null };
  state.tokens.unshift(made);
  return { status: 201, body: { ...made, secret: `mv_${randomBytes(24).toString('base64url')}` } };
}

function newCredential(body) {
  const made = {
    id: id('crd'),
    ...body,
    username: body.network ? undefined : `smtp_${randomBytes(4).toString('hex')}`,
    created_at: iso(Date.now()),
    last_used_at: null,
  };
  state.credentials.unshift(made);
  return {
    status: 201,
    body: body.network ? made : { ...made, password: randomBytes(18).toString('base64url') },
  };
}

function newRoute(body) {
  const made = { id: id('rte'), ...body, created_at: iso(Date.now()) };
  state.routes.unshift(made);
  return {
    status: 201,
    body: { ...made, webhook: { ...body.webhook, secret: `whsec_${randomBytes(24).toString('base64')}` } },
  };
}

function findSubject({ address }) {
  const n = state.messages.filter(
    (m) => m.recipients.some((r) => r.address === address) || m.sender === address,
  ).length;
  if (n === 0) return { findings: [] };
  return {
    findings: [
      { category: 'History of messages', place: 'flow/history.event', count: n * 4 },
      {
        category: 'Queued recipients',
        place: 'flow/queue.recipient',
        count: state.queue.filter((r) => r.recipient === address).length,
      },
      {
        category: 'Message content',
        place: 'keep/blob',
        count: n,
        note: 'shared with others; this person is removed',
      },
    ],
  };
}

async function erase({ address, reason }) {
  await new Promise((done) => setTimeout(done, 700));
  state.messages = state.messages.filter((m) => !m.recipients.some((r) => r.address === address));
  return {
    kind: 'mailvow.erasure/1',
    subject: address,
    salt: randomBytes(32).toString('base64'),
    reason,
    erased: [{ category: 'flow/history.event', rows: 12, keys: 12 }],
    checkpoint: { origin: 'mailvow.test', size: 4812, root: randomBytes(32).toString('base64') },
    signature: randomBytes(64).toString('base64'),
  };
}

const routes = [
  ['GET', '/v1/overview', ({ query }) => overview(query)],
  [
    'GET',
    '/v1/messages',
    ({ query }) => {
      const p = page(searchMessages(query), query);
      return { ...p, items: p.items.map(summaryOf) };
    },
  ],
  [
    'GET',
    '/v1/messages/:id',
    ({ params }) => {
      const m = find(state.messages, params.id);
      return m.problem ? m : { ...m, headers: data.headers(m) };
    },
  ],
  [
    'DELETE',
    '/v1/messages/:id',
    ({ params }) => {
      const r = drop(state.messages, params.id);
      return r.problem ? r : { receipt: { at: iso(Date.now()) } };
    },
  ],
  [
    'GET',
    '/v1/messages/:id/parsed',
    ({ params }) => {
      const m = find(state.messages, params.id);
      if (m.problem) return m;
      return m.state === 'delivered'
        ? problem(410, 'Gone', 'The content was destroyed when the last recipient was settled.')
        : {
            headers: data.headers(m),
            text: data.text,
            html: data.html,
            attachments: [
              { id: 'a0', filename: 'invoice-2026-1187.pdf', content_type: 'application/pdf', size: 48_113 },
            ],
          };
    },
  ],
  [
    'GET',
    '/v1/messages/:id/content',
    ({ params }) => {
      const m = find(state.messages, params.id);
      return m.problem ? m : { bytes: Buffer.from(data.source({ ...m, from: m.sender })) };
    },
  ],
  [
    'GET',
    '/v1/messages/:id/conversations',
    ({ params }) => {
      const m = find(state.messages, params.id);
      return m.problem ? m : data.conversation(m);
    },
  ],
  [
    'GET',
    '/v1/queue',
    ({ query }) =>
      page(
        state.queue.filter(
          (r) =>
            (!query.get('state') || r.state === query.get('state')) &&
            (!query.get('domain') || r.domain === query.get('domain')),
        ),
        query,
      ),
  ],
  ['GET', '/v1/queue/summary', summary],
  ['GET', '/v1/queue/pauses', () => state.pauses],
  ...['retry', 'fail', 'hold', 'release'].map((kind) => [
    'POST',
    `/v1/queue/${kind}`,
    ({ body }) => act(kind, body),
  ]),
  [
    'POST',
    '/v1/queue/pause',
    ({ body }) => {
      const p = { ...body, since: iso(Date.now()) };
      state.pauses.push(p);
      return p;
    },
  ],
  [
    'POST',
    '/v1/queue/resume',
    ({ body }) => {
      state.pauses = state.pauses.filter((p) => p.domain !== body.domain);
      return { count: 1 };
    },
  ],
  ['GET', '/v1/domains', ({ query }) => page(state.domains, query)],
  ['POST', '/v1/domains', ({ body }) => newDomain(body)],
  ['GET', '/v1/domains/:id', ({ params }) => find(state.domains, params.id)],
  ['DELETE', '/v1/domains/:id', ({ params }) => drop(state.domains, params.id)],
  [
    'POST',
    '/v1/domains/:id/check',
    ({ params }) => {
      const d = find(state.domains, params.id);
      if (!d.problem) d.checked_at = iso(Date.now());
      return d;
    },
  ],
  ['GET', '/v1/routes', ({ query }) => page(state.routes, query)],
  ['POST', '/v1/routes', ({ body }) => newRoute(body)],
  ['DELETE', '/v1/routes/:id', ({ params }) => drop(state.routes, params.id)],
  ['GET', '/v1/tokens', ({ query }) => page(state.tokens, query)],
  ['POST', '/v1/tokens', ({ body }) => newToken(body)],
  ['DELETE', '/v1/tokens/:id', ({ params }) => drop(state.tokens, params.id)],
  ['GET', '/v1/credentials', ({ query }) => page(state.credentials, query)],
  ['POST', '/v1/credentials', ({ body }) => newCredential(body)],
  ['DELETE', '/v1/credentials/:id', ({ params }) => drop(state.credentials, params.id)],
  ['GET', '/v1/users', ({ query }) => page(state.users, query)],
  [
    'POST',
    '/v1/users',
    ({ body }) => add(state.users, { id: id('usr'), ...body, created_at: iso(Date.now()) }),
  ],
  ['PATCH', '/v1/users/:id', ({ params, body }) => Object.assign(find(state.users, params.id), body)],
  ['DELETE', '/v1/users/:id', ({ params }) => drop(state.users, params.id)],
  ['GET', '/v1/suppressions', ({ query }) => page(state.suppressions, query)],
  [
    'POST',
    '/v1/suppressions',
    ({ body }) => add(state.suppressions, { id: id('sup'), ...body, created_at: iso(Date.now()) }),
  ],
  ['DELETE', '/v1/suppressions/:id', ({ params }) => drop(state.suppressions, params.id)],
  ['GET', '/v1/customers', ({ query }) => page(state.customers, query)],
  [
    'POST',
    '/v1/customers',
    ({ body }) => add(state.customers, { id: id('ten'), ...body, created_at: iso(Date.now()) }),
  ],
  ['POST', '/v1/subjects/find', ({ body }) => findSubject(body)],
  ['POST', '/v1/subjects/erase', ({ body }) => erase(body)],
  ['POST', '/v1/subjects/export', ({ body }) => ({ address: body.address, records: [] })],
  ['GET', '/v1/caught', ({ query }) => page(state.caught, query)],
  [
    'DELETE',
    '/v1/caught',
    () => {
      state.caught.length = 0;
      return { status: 204 };
    },
  ],
  [
    'GET',
    '/v1/caught/:id',
    ({ params }) => {
      const m = find(state.caught, params.id);
      return m.problem
        ? m
        : {
            ...without(m, 'received_at'),
            date: m.received_at,
            headers: data.headers(m),
            text: data.text,
            html: data.html,
            attachments: [
              { index: 0, filename: 'invoice-2026-1187.pdf', content_type: 'application/pdf', size: 48_113 },
              {
                index: 1,
                filename: 'logo.png',
                content_type: 'image/png',
                content_id: '<logo@mail>',
                size: data.logo.length,
              },
            ],
          };
    },
  ],
  [
    'GET',
    '/v1/caught/:id/source',
    ({ params }) => {
      const m = find(state.caught, params.id);
      return m.problem ? m : { bytes: Buffer.from(data.source(m)) };
    },
  ],
  [
    'GET',
    '/v1/caught/:id/attachments/:index',
    ({ params }) => ({ bytes: params.index === '1' ? data.logo : Buffer.from('%PDF-1.4 not really') }),
  ],
  ['DELETE', '/v1/caught/:id', ({ params }) => drop(state.caught, params.id)],
  ['GET', '/v1/controls', () => (empty ? [] : data.controls)],
  ['GET', '/v1/inventory', () => data.inventory],
].map(([method, path, handle]) => ({ method, parts: path.split('/'), handle }));

function match(method, path) {
  const parts = path.split('/');
  const fits = (pattern) =>
    pattern.length === parts.length && pattern.every((p, i) => p.startsWith(':') || p === parts[i]);
  const route = routes.find((r) => r.method === method && fits(r.parts));
  if (!route) return null;
  const named = route.parts.flatMap((p, i) =>
    p.startsWith(':') ? [[p.slice(1), decodeURIComponent(parts[i])]] : [],
  );
  return { ...route, params: Object.fromEntries(named) };
}

function sessions(method, body) {
  if (method === 'DELETE') {
    state.signedIn = false;
    return { status: 204, cookie: 'mailvow_session=; Path=/; Max-Age=0' };
  }
  if (body.link === 'expired' || (body.password && body.password !== 'correct horse battery staple')) {
    return problem(
      401,
      'Not signed in',
      'The address or the password is wrong.',
      'Check both, or use a new sign-in link.',
    );
  }
  return { body: session, cookie: 'mailvow_session=mock; Path=/; HttpOnly; SameSite=Lax' };
}

async function bodyOf(request) {
  const parts = [];
  for await (const part of request) parts.push(part);
  return parts.length ? JSON.parse(Buffer.concat(parts).toString() || '{}') : {};
}

async function answer(request, url) {
  const body = request.method === 'GET' ? {} : await bodyOf(request);
  if (url.pathname === '/v1/session' && request.method !== 'GET') return sessions(request.method, body);
  if (!/mailvow_session=mock/.test(request.headers.cookie ?? '')) {
    return problem(401, 'Not signed in', 'This needs a session or a token.', 'Sign in first.');
  }
  if (url.pathname === '/v1/session') return session;
  const route = match(request.method, url.pathname);
  return route ? route.handle({ params: route.params, query: url.searchParams, body }) : lost();
}

function reply(response, result) {
  if (result.cookie) response.setHeader('Set-Cookie', result.cookie);
  if (result.problem) {
    response.writeHead(result.status, { 'Content-Type': 'application/problem+json' });
    response.end(JSON.stringify(result.problem));
  } else if (result.bytes) {
    response.writeHead(200, {
      'Content-Type': 'application/octet-stream',
      'X-Content-Type-Options': 'nosniff',
    });
    response.end(result.bytes);
  } else if (result.status === 204) {
    response.writeHead(204).end();
  } else {
    response.writeHead(result.status ?? 200, { 'Content-Type': 'application/json' });
    response.end(JSON.stringify(result.body ?? result));
  }
}

function live(request, response) {
  response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' });
  const send = () => {
    const { series, start, ...counts } = overview(new URLSearchParams());
    response.write(`data: ${JSON.stringify(counts)}\n\n`);
  };
  send();
  const timer = setInterval(send, 2000);
  request.on('close', () => clearInterval(timer));
}

const types = {
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.html': 'text/html; charset=utf-8',
};

// The same policy as internal/door/console sends; a test there compares the two.
export const policy = (nonce) =>
  `default-src 'none'; script-src 'self'; style-src 'self' 'nonce-${nonce}'; img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'`;

function asset(response, path) {
  const file = join(dist, normalize(path));
  response.setHeader('X-Content-Type-Options', 'nosniff');
  response.setHeader('Referrer-Policy', 'no-referrer');
  if (
    file.startsWith(dist) &&
    extname(file) !== '.html' &&
    statSync(file, { throwIfNoEntry: false })?.isFile()
  ) {
    response.writeHead(200, { 'Content-Type': types[extname(file)] ?? 'application/octet-stream' });
    response.end(readFileSync(file));
    return;
  }
  const nonce = randomBytes(18).toString('base64');
  response.writeHead(200, {
    'Content-Type': types['.html'],
    'Content-Security-Policy': policy(nonce),
    'Cache-Control': 'no-store',
  });
  response.end(readFileSync(join(dist, 'index.html'), 'utf8').replaceAll('__CSP_NONCE__', nonce));
}

const server = createServer(async (request, response) => {
  const url = new URL(request.url, `http://localhost:${port}`);
  try {
    if (url.pathname === '/v1/events/live') live(request, response);
    else if (url.pathname.startsWith('/v1/')) reply(response, await answer(request, url));
    else asset(response, url.pathname);
  } catch (error) {
    reply(response, problem(500, 'Internal error', String(error)));
  }
});
server.listen(port, '127.0.0.1', () => {
  process.stdout.write(`mock on http://localhost:${port}/sign-in?link=mock\n`);
});
