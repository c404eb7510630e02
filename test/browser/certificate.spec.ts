import { readFileSync } from 'node:fs';
import { expect, findings, test } from './console';

// The vector of the format's own page; its key signs nothing else.
const page = readFileSync('../../docs/formats/certificate.md', 'utf8');
const good = /```vector certificate\n([^]*?)```/.exec(page)![1];
const key = /"public_key": "([^"]+)"/.exec(good)![1];
const file = (text: string) => ({ name: 'certificate.json', mimeType: 'application/json', buffer: Buffer.from(text) });

// Nobody has signed in who comes here.
test.use({ storageState: { cookies: [], origins: [] } });

test('a certificate is verified with the network off, and one changed byte is found', async ({ page, context }) => {
  await page.goto('/certificate');
  expect(await findings(page)).toEqual([]);
  await context.setOffline(true);
  const asked: string[] = [];
  page.on('request', (request) => asked.push(request.url()));

  await page.getByLabel('Your address').fill('Ada.Lovelace@Example.COM');
  await page.getByLabel("The operator's key").fill(key);
  await page.getByLabel('Certificate', { exact: true }).setInputFiles(file(good));
  await expect(page.getByRole('heading', { name: 'The certificate holds.' })).toBeVisible();
  await expect(page.getByText('the erased one is the address you gave')).toBeVisible();
  await expect(page.getByText('"§ 147 AO" wants them for ten years')).toBeVisible();
  expect(await findings(page)).toEqual([]);
  const wider = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  expect(wider, 'the page scrolls sideways').toBeLessThanOrEqual(0);

  await page.getByLabel('Certificate', { exact: true }).setInputFiles(file(good.replace('"erased": 3', '"erased": 4')));
  await expect(page.getByRole('heading', { name: 'The certificate does not hold.' })).toBeVisible();
  await page.getByLabel('Your address').fill('somebody.else@example.com');
  await page.getByLabel('Certificate', { exact: true }).setInputFiles(file(good));
  await expect(page.getByText('It is about another address.')).toBeVisible();
  expect(asked).toEqual([]);
});

test('every byte of a certificate counts, but the spaces between', async ({ page }) => {
  await page.goto('/certificate');
  const wrong = await page.evaluate(async (text) => {
    // biome-ignore lint: the page's own function
    const verify = (window as any).verifyCertificate as (text: string) => Promise<unknown>;
    const holds = (t: string) => verify(t).then(
      () => true,
      () => false,
    );
    const found: string[] = [];
    if (!(await holds(text))) found.push('the good one does not hold');
    if (!(await holds(JSON.stringify(JSON.parse(text))))) found.push('without spaces it does not hold');
    const bytes = new TextEncoder().encode(text);
    for (let at = 0; at < bytes.length; at++) {
      const changed = bytes.slice();
      changed[at] ^= 1;
      let other = '';
      try {
        other = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(changed);
      } catch {
        continue; // no UTF-8 any more: the page refuses to read it
      }
      if (await holds(other)) found.push(`byte ${at}: ${JSON.stringify(other.slice(at - 20, at + 20))}`);
    }
    return found;
  }, good);
  expect(wrong).toEqual([]);
});
