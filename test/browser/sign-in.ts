import { mkdirSync } from 'node:fs';
import { chromium, expect, type FullConfig } from '@playwright/test';

/** Sends the mail that the rooms show, signs in once by the one-time link and keeps the session for every test. */
export default async function signIn(config: FullConfig) {
  const { baseURL, launchOptions } = config.projects[0].use;
  await fill(`${baseURL}`);
  mkdirSync('results', { recursive: true });
  const browser = await chromium.launch(launchOptions);
  const links = { session: process.env.MAILVOW_SIGN_IN_URL, operator: process.env.MAILVOW_OPERATOR_URL };
  for (const [name, link] of Object.entries(links)) {
    const page = await browser.newPage();
    await page.goto(link ?? '/');
    await expect(page.getByRole('heading', { level: 1, name: 'Overview' })).toBeVisible({ timeout: 20_000 });
    await page.context().storageState({ path: `results/${name}.json` });
    await page.close();
  }
  await browser.close();
}

/** One thing of every kind, so that no room is tested empty. */
async function fill(base: string) {
  const post = async (path: string, body: object) => {
    const answer = await fetch(`${base}/v1/${path}`, {
      method: 'POST',
      headers: { Authorization: `Bearer ${process.env.MAILVOW_API_TOKEN}`, 'Content-Type': 'application/json' },
      body: JSON.stringify(body),
    });
    // What an earlier run made is there already.
    if (!answer.ok && answer.status !== 409) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
  };
  const from = 'hello@demo.example';
  await post('queue/pause', { domain: 'paused.example', reason: 'their server is being moved' });
  await post('messages', { from, to: ['waits@paused.example'], subject: 'Waits', text: 'later' });
  for (const person of ['ana', 'bo', 'chris']) {
    await post('messages', {
      from,
      to: [`${person}@example.net`, 'second@example.org'],
      subject: `Invoice for ${person}`,
      text: 'See attached.',
      html: '<h1>Invoice</h1><p style="color:#333">Thank you.</p><img src="https://track.example.org/p.gif">',
      attachments: [{ filename: 'invoice.txt', content_type: 'text/plain', content: 'SGVsbG8K' }],
    });
  }
  await post('routes', { recipient: '*@demo.example', webhook: { url: 'http://127.0.0.1:9/hook' } });
  await post('suppressions', { address: 'never@example.net', reason: 'manual' });
}
