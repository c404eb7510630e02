import { expect, findings, test } from './console';

// Names that no other run used: the tests share one server.
const unique = () => `${Date.now().toString(36)}${Math.floor(Math.random() * 1e6).toString(36)}`;

test('a token is shown once, can be copied, and can be revoked', async ({ page }) => {
  const name = `Test ${unique()}`;
  await page.goto('/access');
  await page.getByRole('button', { name: 'Create token' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByRole('button', { name: 'Create token' }).click();
  await expect(dialog.getByText('Give it a name')).toBeVisible();
  await dialog.getByRole('textbox', { name: 'Name' }).fill(name);
  expect(await findings(page)).toEqual([]);
  await dialog.getByRole('button', { name: 'Create token' }).click();
  const shown = page.getByRole('dialog', { name: 'Copy it now' });
  await expect(shown.locator('code')).toContainText('mv_');
  await shown.getByRole('button', { name: 'Done' }).click();
  await expect(shown).toHaveCount(0);
  await page.getByRole('button', { name: `Revoke ${name}?` }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Revoke' }).click();
  await expect(page.getByRole('dialog')).toHaveCount(0);
  await expect(page.getByRole('table', { name: 'API tokens' }).getByText(name)).toHaveCount(0);
});

test('a credential is shown once with its user name', async ({ page }) => {
  const name = `Shop ${unique()}`;
  await page.goto('/access');
  await page.getByRole('button', { name: 'Create credential' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByRole('textbox', { name: 'Name' }).fill(name);
  await dialog.getByRole('button', { name: 'Create credential' }).click();
  const shown = page.getByRole('dialog', { name: 'Copy it now' });
  await expect(shown.locator('code')).toHaveCount(2);
  await shown.getByRole('button', { name: 'Done' }).click();
  await expect(page.getByText(name)).toBeVisible();
});

test('a domain is added, and its records can be copied', async ({ page }) => {
  const name = `t${unique()}.example.org`;
  await page.goto('/domains');
  await page.getByRole('button', { name: 'Add domain' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Domain name').fill('nonsense');
  await dialog.getByRole('button', { name: 'Add domain' }).click();
  await expect(dialog.getByText('Enter a domain name')).toBeVisible();
  await dialog.getByLabel('Domain name').fill(name);
  await dialog.getByRole('button', { name: 'Add domain' }).click();
  await expect(page.getByRole('heading', { level: 1, name })).toBeVisible();
  await expect(page.getByRole('button', { name: 'Copy Expected' }).first()).toBeVisible();
  expect(await findings(page)).toEqual([]);
  await page.getByRole('button', { name: 'Check now' }).click();
  await expect(page.getByText(/records are in place/)).toBeVisible();
});

test('a suppression is added and removed', async ({ page }) => {
  const address = `t${unique()}@example.net`;
  await page.goto('/suppressions');
  await page.getByRole('button', { name: 'Add address' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Address').fill(address);
  await dialog.getByLabel('Note').fill('asked by phone');
  await dialog.getByRole('button', { name: 'Add address' }).click();
  await expect(dialog).toHaveCount(0);
  await page.getByRole('button', { name: `Write to ${address} again?` }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Remove' }).click();
  await expect(page.getByRole('dialog')).toHaveCount(0);
  await expect(page.getByRole('button', { name: `Write to ${address} again?` })).toHaveCount(0);
});

test('a person of whom nothing is kept is reported as such', async ({ page }) => {
  await page.goto('/subjects');
  await page.getByRole('button', { name: 'Find' }).click();
  await expect(page.getByText('Enter the whole address')).toBeVisible();
  await page.getByLabel('E-mail address of the person').fill(`t${unique()}@example.net`);
  await page.getByRole('button', { name: 'Find' }).click();
  await expect(page.getByText('Nothing is kept about this address')).toBeVisible();
  expect(await findings(page)).toEqual([]);
});

test('a person is erased, and the certificate can be downloaded', async ({ page, request }) => {
  // A person of the test's own: whoever was erased before is not found again.
  const address = `erase${unique()}@example.net`;
  const sent = await request.post('/v1/messages', {
    data: { from: 'you@demo.example', to: [address], subject: 'To be erased', text: 'x' },
  });
  expect(sent.status()).toBe(202);
  await expect
    .poll(async () => (await (await request.get(`/v1/messages?recipient=${address}`)).json()).items?.length)
    .toBe(1);
  await page.goto('/subjects');
  await page.getByLabel('E-mail address of the person').fill(address);
  await page.getByRole('button', { name: 'Find' }).click();
  await page.getByRole('button', { name: 'Erase this person' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Reason').fill('art17');
  await dialog.getByLabel('Type the address to confirm').fill('somebody@else.example');
  await dialog.getByRole('button', { name: 'Erase this person' }).click();
  await expect(dialog.getByText('not the address that is to be erased')).toBeVisible();
  await dialog.getByLabel('Type the address to confirm').fill(address);
  await dialog.getByRole('button', { name: 'Erase this person' }).click();
  await expect(page.getByRole('heading', { name: 'Certificate of erasure' })).toBeVisible();
  const saved = page.waitForEvent('download');
  await page.getByRole('button', { name: 'Download certificate' }).click();
  expect((await saved).suggestedFilename()).toBe('erasure-certificate.json');
  expect(await findings(page)).toEqual([]);
});

test('a refusal shows the detail and what to do', async ({ page }) => {
  await page.route('**/v1/routes', (route) =>
    route.request().method() === 'POST'
      ? route.fulfill({
          status: 422,
          contentType: 'application/problem+json',
          body: JSON.stringify({
            title: 'Invalid',
            status: 422,
            detail: 'in.example.org is not a verified domain.',
            hint: 'Verify it under Domains first.',
            errors: [{ location: 'body.recipient', message: 'names an unverified domain' }],
          }),
        })
      : route.fallback(),
  );
  await page.goto('/routes');
  await page.getByRole('button', { name: 'Add route' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Recipients').fill('*@in.example.org');
  await dialog.getByLabel('Webhook URL').fill('https://app.example.org/mail');
  await dialog.getByRole('button', { name: 'Add route' }).click();
  const alert = dialog.getByRole('alert');
  await expect(alert).toContainText('is not a verified domain');
  await expect(alert).toContainText('recipient: names an unverified domain');
  await expect(alert).toContainText('Verify it under Domains first');
  expect(await findings(page)).toEqual([]);
});
