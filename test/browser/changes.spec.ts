import type { APIRequestContext } from '@playwright/test';
import { expect, findings, test } from './console';

// Names that no other run used: the tests share one server.
async function send(request: APIRequestContext, to: string) {
  const body = { from: 'hello@demo.example', to: [to], subject: 'Hello from a test', text: 'It works.', html: '<p>It works.</p>' };
  const answer = await request.post('/v1/messages', { data: body });
  expect(answer.status(), await answer.text()).toBe(202);
  const { id } = await answer.json();
  // The record and its look-up are there a moment after the answer.
  await expect(async () => {
    const found = await (await request.get(`/v1/messages?recipient=${encodeURIComponent(to)}`)).json();
    expect(found.items.map((m: { id: string }) => m.id)).toContain(id);
  }).toPass({ timeout: 15_000 });
}

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

test('a customer narrows the policy, sees first what would change, and cannot loosen it', async ({ page }) => {
  await page.goto('/policy');
  const hours = `${200 + Math.floor(Math.random() * 500)}h`;
  await page.getByLabel('Keep SMTP conversations').fill('31d');
  await page.getByRole('button', { name: 'See what would change' }).click();
  await expect(page.getByText(/would be looser than the platform/)).toBeVisible();
  await page.getByLabel('Keep SMTP conversations').fill(hours);
  await page.getByRole('button', { name: 'See what would change' }).click();
  const dialog = page.getByRole('dialog');
  await expect(dialog.getByText('Keep SMTP conversations')).toBeVisible();
  expect(await findings(page)).toEqual([]);
  await dialog.getByLabel('What the change is for').fill(`less is enough: ${hours}`);
  await dialog.getByRole('button', { name: 'Publish' }).click();
  await expect(dialog).toHaveCount(0);
  await expect(page.getByText(`less is enough: ${hours}`)).toBeVisible();
  await page.getByRole('button', { name: 'Show all' }).click();
  await expect(page.getByText('obeyed', { exact: true }).first()).toBeVisible();
  expect(await findings(page)).toEqual([]);
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
  const address = `t${unique()}@example.net`;
  await send(request, address);
  await page.goto('/subjects');
  await page.getByLabel('E-mail address of the person').fill(address);
  await page.getByRole('button', { name: 'Find' }).click();
  await page.getByRole('button', { name: 'Erase this person' }).click();
  const dialog = page.getByRole('dialog');
  await expect(dialog.getByRole('combobox', { name: 'Reason' })).toHaveValue('The person asked for it (GDPR Art. 17)');
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

test('what is kept of a person is handed over as it is', async ({ page, request }) => {
  const address = `t${unique()}@example.net`;
  await send(request, address);
  await page.goto('/subjects');
  await page.getByLabel('E-mail address of the person').fill(address);
  await page.getByRole('button', { name: 'Find' }).click();
  const saved = page.waitForEvent('download');
  await page.getByRole('button', { name: 'Hand over (archive)' }).click();
  expect((await saved).suggestedFilename()).toBe('subject-archive.zip');
  await page.getByRole('button', { name: 'Restrict' }).click();
  expect(await findings(page)).toEqual([]);
  await page.getByRole('dialog').getByRole('button', { name: 'Restrict', exact: true }).click();
  await expect(page.getByText(/^Restricted/)).toBeVisible();
});

test('a request of a person is entered, and refused with a reason', async ({ page }) => {
  const address = `t${unique()}@example.net`;
  await page.goto('/subjects');
  await page.getByRole('tab', { name: 'Requests' }).click();
  await expect(page).toHaveURL(/tab=requests/);
  await page.getByRole('button', { name: 'Enter a request' }).click();
  await page.getByRole('dialog').getByLabel('E-mail address of the person').fill(address);
  await page.getByRole('dialog').getByRole('button', { name: 'Enter a request' }).click();
  const row = page.getByRole('row').filter({ hasText: address });
  await expect(row).toContainText('days left');
  expect(await findings(page)).toEqual([]);
  await row.getByRole('button', { name: 'Decide' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Refuse, with a reason').check();
  await dialog.getByRole('button', { name: 'Refuse' }).click();
  await expect(dialog.getByText('Write it: the person is told.')).toBeVisible();
  expect(await findings(page)).toEqual([]);
  await dialog.getByRole('textbox', { name: 'Reason' }).fill('We must keep invoices.');
  await dialog.getByRole('button', { name: 'Refuse' }).click();
  await expect(row).toContainText('Refused');
});

test('a legal hold is added, reviewed and released', async ({ page }) => {
  const address = `t${unique()}@example.net`;
  await page.goto('/subjects?tab=holds');
  await page.getByRole('button', { name: 'Add a hold' }).click();
  await page.getByRole('dialog').getByLabel('E-mail address of the person').fill(address);
  expect(await findings(page)).toEqual([]);
  await page.getByRole('dialog').getByRole('button', { name: 'Add a hold' }).click();
  const row = page.getByRole('row').filter({ hasText: address });
  await row.getByRole('button', { name: 'Review' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'It is still needed' }).click();
  await expect(page.getByText('The hold goes on.')).toBeVisible();
  await row.getByRole('button', { name: 'Release' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Release' }).click();
  await expect(page.getByText('The hold is released.')).toBeVisible();
  expect(await findings(page)).toEqual([]);
});

test('mail is listed, opened and caught as it was sent', async ({ page, request }) => {
  const address = `t${unique()}@example.net`;
  await send(request, address);
  await page.goto('/activity');
  await page.getByLabel('Search term').fill(address);
  await page.getByRole('button', { name: 'Search' }).click();
  await page.getByRole('link', { name: 'Hello from a test' }).click();
  await expect(page.getByText('Caught in the built-in inbox').first()).toBeVisible();
  expect(await findings(page)).toEqual([]);
  await page.goto('/caught');
  await page.getByRole('link', { name: new RegExp(address) }).click();
  await expect(page.frameLocator('iframe').getByText('It works.')).toBeVisible();
  await page.getByRole('tab', { name: 'Source' }).click();
  await expect(page.getByRole('tabpanel')).toContainText('Subject: Hello from a test');
  expect(await findings(page)).toEqual([]);
});

test('a domain is paused with a reason, and resumed', async ({ page, request }) => {
  const domain = `t${unique()}.example`;
  await request.post('/v1/queue/pause', { data: { domain, reason: 'a move' } });
  await send(request, `a@${domain}`);
  await page.goto(`/queue?domain=${domain}`);
  await expect(page.getByRole('table', { name: 'Recipients' }).getByText(`a@${domain}`)).toBeVisible();
  expect(await findings(page)).toEqual([]);
  await page.getByRole('listitem').filter({ hasText: domain }).getByRole('button', { name: 'Resume' }).click();
  await expect(page.getByText(`Delivery to ${domain} goes on.`)).toBeVisible();
  await expect(page.getByText('Nothing in the queue matches')).toBeVisible();
});

test('a route is changed and removed', async ({ page }) => {
  const name = `t${unique()}@demo.example`;
  await page.goto('/routes');
  await page.getByRole('button', { name: 'Add route' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Recipients').fill(name);
  await dialog.getByLabel('Webhook URL').fill('http://127.0.0.1:9/one');
  await dialog.getByRole('button', { name: 'Add route' }).click();
  await page.getByRole('dialog', { name: 'Signing secret' }).getByRole('button', { name: 'Done' }).click();
  await page.getByRole('button', { name: `Change the route for ${name}` }).click();
  await expect(dialog.getByLabel('Webhook URL')).toHaveValue('http://127.0.0.1:9/one');
  await dialog.getByLabel('Webhook URL').fill('http://127.0.0.1:9/two');
  expect(await findings(page)).toEqual([]);
  await dialog.getByRole('button', { name: 'Save' }).click();
  await expect(page.getByText('http://127.0.0.1:9/two')).toBeVisible();
  await page.getByRole('button', { name: `Remove the route for ${name}?` }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Remove route' }).click();
  await expect(page.getByText('http://127.0.0.1:9/two')).toHaveCount(0);
});

test('a user is added and gets a sign-in link', async ({ page }) => {
  const email = `t${unique()}@example.org`;
  await page.goto('/users');
  await page.getByRole('button', { name: 'Add user' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByRole('textbox', { name: 'E-mail address' }).fill(email);
  await dialog.getByRole('textbox', { name: 'Name' }).fill('Test');
  await dialog.getByRole('button', { name: 'Add user' }).click();
  await page.getByRole('button', { name: `Make a sign-in link for ${email}` }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Sign-in link' }).click();
  await expect(page.locator('code', { hasText: '/sign-in?link=' })).toBeVisible();
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
