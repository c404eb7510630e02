import { expect, findings, test } from './console';

// mailvow dev sends nothing, so what a remote server said stands in for it here.
const id = 'msg_01answers00000000000000000';
const at = '2026-05-03T12:00:00.000000Z';
const refusal = '550 5.1.1 <nobody@example.org>: User unknown';
const later = '451 4.7.1 Greylisted, come back in 300 seconds';

const message = {
  id,
  customer: 'ten_1',
  direction: 'outbound',
  sender: 'shop@demo.example',
  recipient: 'ana@example.org',
  recipients_count: 3,
  subject: 'Invoice 118',
  received_at: at,
  state: 'mixed',
  size: 1200,
  tags: [],
  message_id: '<1@demo.example>',
  has_content: false,
  headers: [],
  recipients: [
    { id: 'rcp_1', address: 'ana@example.org', state: 'delivered', attempts: 1, next_attempt_at: null, last_reply: '250 2.0.0 Ok' },
    { id: 'rcp_2', address: 'nobody@example.org', state: 'failed', attempts: 1, next_attempt_at: null, last_reply: refusal },
    { id: 'rcp_3', address: 'late@example.org', state: 'deferred', attempts: 1, next_attempt_at: '2099-01-01T00:00:00Z', last_reply: later },
  ],
  timeline: [
    { at, kind: 'accepted', text: 'Accepted for delivery.' },
    { at, kind: 'failed', text: 'Refused for good.', recipient: 'nobody@example.org', reply: refusal },
    { at, kind: 'notified', text: 'The sender was told.' },
  ],
};

const spoken = (recipient: string, answer: string, attempt = 1) => ({
  recipient,
  attempt,
  at,
  steps: [
    { at, took_ms: 12, sent: '', got: '220 mx.example.org ESMTP' },
    { at, took_ms: 3, sent: 'EHLO mail.demo.example', got: '250-mx.example.org\n250 SIZE 1000' },
    { at, took_ms: 0, sent: 'MAIL FROM:<shop@demo.example>', got: '250 2.1.0 Ok' },
    { at, took_ms: 0, sent: `RCPT TO:<${recipient}>`, got: answer },
    { at, took_ms: 0, sent: 'DATA', got: '354 Go on' },
    { at, took_ms: 4, sent: '(1200 octets of message)', got: '250 2.0.0 Ok' },
  ],
});

test.beforeEach(async ({ page }) => {
  await page.route(`**/v1/messages/${id}`, (route) => route.fulfill({ json: message }));
  await page.route(`**/v1/messages/${id}/parsed`, (route) => route.fulfill({ status: 404, json: { status: 404 } }));
  await page.route(`**/v1/messages/${id}/conversations`, (route) =>
    route.fulfill({
      json: [
        spoken('ana@example.org', '250 2.1.5 Ok'),
        spoken('nobody@example.org', refusal),
        spoken('late@example.org', later),
      ],
    }),
  );
  await page.goto(`/activity/${id}`);
  await expect(page.getByRole('heading', { level: 1, name: 'Invoice 118' })).toBeVisible();
});

test('each recipient says what happened, what comes next and what can be done', async ({ page }) => {
  const recipients = page.getByRole('region', { name: 'Recipients' });
  await expect(recipients.getByText('does not know this address')).toContainText('the sender was told');
  await expect(recipients.getByText('asks us to come back later')).toContainText('Tried again');
  await expect(recipients.getByRole('link', { name: 'Suppressions' })).toHaveAttribute('href', '/suppressions');
  await expect(recipients.getByRole('button', { name: 'Retry now' })).toHaveCount(1);
  expect(await findings(page)).toEqual([]);
});

test('one exchange for several recipients is told once, with the refusals marked', async ({ page }) => {
  const talk = page.getByRole('region', { name: 'SMTP conversation' });
  await expect(talk.getByText('Attempt 1')).toHaveCount(1);
  await expect(talk.getByText('Taken for some')).toBeVisible();
  await expect(talk.getByText('RCPT TO:')).toHaveCount(3);
  await expect(talk.getByText(refusal)).toBeVisible();
  expect(await findings(page)).toEqual([]);
  await talk.getByText('Attempt 1').click();
  await expect(talk.getByText(refusal)).toBeHidden();
  await page.keyboard.press('Enter');
  await expect(talk.getByText(refusal)).toBeVisible();
});
