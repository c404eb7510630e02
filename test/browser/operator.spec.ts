import type { Page } from '@playwright/test';
import { expect, findings, test } from './console';

// The operator's rooms; those that customers see too are in rooms.spec.ts.
test.use({ storageState: 'results/operator.json' });

const unique = () => `${Date.now().toString(36)}${Math.floor(Math.random() * 1e6).toString(36)}`;

/** Opens a room by its address, and looks at it as the other rooms are looked at. */
async function stands(page: Page, path: string, title: string) {
  await page.goto(path);
  await expect(page.getByRole('heading', { level: 1, name: title, exact: true })).toBeVisible();
  await expect(page.getByRole('status').filter({ hasText: 'Loading' })).toHaveCount(0);
  const wider = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  expect(wider, 'the page scrolls sideways').toBeLessThanOrEqual(0);
  expect(await findings(page)).toEqual([]);
}

test('the operator’s own row among the customers offers nothing that the server refuses', async ({ page }) => {
  await stands(page, '/customers', 'Customers');
  const own = page.getByRole('row').filter({ hasText: 'Runs this server' });
  await expect(own).toHaveCount(1);
  await expect(own.getByRole('button', { name: /Pause|End contract/ })).toHaveCount(0);
  await expect(page.getByRole('button', { name: /End contract/ }).first()).toBeVisible();
});

test('alerts, with what to do, are marked as seen', async ({ page }) => {
  const at = '2026-05-03T12:00:00Z';
  const one = { id: 'alr_1', kind: 'space', text: 'The disk is nearly full.', runbook: 'Free some space.', first_at: at, last_at: at, times: 3, acknowledged_at: null, cleared_at: null };
  let seen: string | null = null;
  await page.route('**/v1/alerts?*', (route) => route.fulfill({ json: { items: [{ ...one, acknowledged_at: seen }], next: null } }));
  await page.route('**/v1/alerts/alr_1/acknowledge', (route) => {
    seen = at;
    return route.fulfill({ json: { ...one, acknowledged_at: seen } });
  });
  await stands(page, '/alerts', 'Alerts');
  await expect(page.getByText('Free some space.')).toBeVisible();
  await page.getByRole('button', { name: 'I have seen it: The disk is nearly full.' }).click();
  await expect(page.getByRole('cell').filter({ hasText: 'Seen' }).first()).toBeVisible();
  await expect(page.getByRole('button', { name: /I have seen it/ })).toHaveCount(0);
});

test('an audit is attested with its report, and withdrawn', async ({ page }) => {
  const who = `Audit ${unique()}`;
  await page.goto('/attestations');
  await page.getByRole('button', { name: 'Attest something' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByRole('combobox', { name: 'What' }).click();
  await page.getByRole('option', { name: 'Audit', exact: true }).click();
  await dialog.getByLabel('Who or where').fill(who);
  expect(await findings(page)).toEqual([]);
  await page.locator('input[type=file]').setInputFiles({ name: 'report.pdf', mimeType: 'application/pdf', buffer: Buffer.from('report') });
  await dialog.getByRole('button', { name: 'Attest something' }).click();
  await expect(dialog).toHaveCount(0);
  await stands(page, '/attestations', 'Attestations');
  await page.getByRole('button', { name: `Withdraw: Audit, ${who}` }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Withdraw' }).click();
  await expect(page.getByRole('row').filter({ hasText: who })).toContainText('Withdrawn');
});

test('a finding is entered with its deadline, and mended with a reason', async ({ page }) => {
  const what = `Door ${unique()}`;
  await page.goto('/findings');
  await page.getByRole('button', { name: 'Enter a finding' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('What was found').fill(what);
  expect(await findings(page)).toEqual([]);
  await dialog.getByRole('button', { name: 'Enter a finding' }).click();
  await expect(dialog).toHaveCount(0);
  await page.getByRole('button', { name: `Change: ${what}` }).click();
  await dialog.getByRole('combobox', { name: 'What becomes of it' }).click();
  await page.getByRole('option', { name: 'Mended', exact: true }).click();
  await dialog.getByRole('button', { name: 'Save' }).click();
  await expect(dialog.getByText('Give the reason.')).toBeVisible();
  await dialog.getByLabel('Reason').fill('In the next version.');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await expect(page.getByRole('row').filter({ hasText: what })).toContainText('Mended');
  await stands(page, '/findings', 'Findings');
});

test('a lawful request is entered and decided', async ({ page }) => {
  const number = `Gs ${unique()}`;
  await page.goto('/lawful-requests');
  await page.getByRole('button', { name: 'Enter a request' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('The authority’s number').fill(number);
  await dialog.getByLabel('Authority', { exact: true }).fill('A court');
  await dialog.getByLabel('Country').fill('de');
  await dialog.getByLabel('The law it names').fill('StPO 94');
  expect(await findings(page)).toEqual([]);
  await dialog.getByRole('button', { name: 'Enter a request' }).click();
  await expect(dialog).toHaveCount(0);
  await page.getByRole('button', { name: `Decide on ${number}` }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Decide' }).click();
  await expect(page.getByRole('row').filter({ hasText: number })).toContainText('Refused');
  await stands(page, '/lawful-requests', 'Lawful requests');
});

test('a drill is opened, its report written, its notice read, and it is told', async ({ page }) => {
  const title = `Token ${unique()}`;
  await page.goto('/incidents');
  await page.getByRole('button', { name: 'Open an incident' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('In a line').fill(title);
  await dialog.getByRole('switch', { name: 'Drill' }).check();
  await dialog.getByRole('combobox', { name: 'Customers in scope' }).click();
  await page.getByRole('option', { name: 'Demo' }).click();
  await page.keyboard.press('Escape');
  expect(await findings(page)).toEqual([]);
  await dialog.getByRole('button', { name: 'Open an incident' }).click();
  await expect(page.getByRole('heading', { level: 1, name: title })).toBeVisible();
  await expect(page.getByText('The notice lacks')).toBeVisible();
  await page.getByLabel('What happened').fill('A token was seen by others.');
  await page.getByRole('button', { name: 'Save' }).click();
  await expect(page.getByText('The report is saved.')).toBeVisible();
  await page.getByRole('button', { name: 'Text of the notice to Demo' }).click();
  await expect(page.getByRole('dialog').getByText('A token was seen by others.')).toBeVisible();
  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: 'Put on record: Notice to the authority' }).click();
  await page.getByRole('dialog').getByLabel('It need not be done').check();
  await page.getByRole('dialog').getByLabel('Why not').fill('A drill.');
  await page.getByRole('dialog').getByRole('button', { name: 'Put on record' }).click();
  await expect(page.getByText('Not needed').first()).toBeVisible();
  expect(await findings(page)).toEqual([]);
});

test('a document is read, what blocks it is listed, and it is published with a remark', async ({ page }) => {
  await page.goto('/documents');
  await page.getByRole('link', { name: 'Cookie notice' }).click();
  await expect(page.getByRole('heading', { name: 'What is stored in your browser' })).toBeVisible();
  expect(await findings(page)).toEqual([]);
  await page.getByRole('button', { name: 'Signed copy' }).click();
  const saved = page.waitForEvent('download');
  await page.getByRole('menuitem', { name: 'Markdown' }).click();
  expect((await saved).suggestedFilename()).toBe('cookies.md');
  await page.getByRole('tab', { name: /What blocks it/ }).click();
  expect(await findings(page)).toEqual([]);
  await page.getByRole('button', { name: 'Publish' }).click();
  const dialog = page.getByRole('dialog');
  const note = `First ${unique()}`;
  await dialog.getByLabel('What changed').fill(note);
  const anyway = dialog.getByLabel(/all the same/);
  if (await anyway.count()) await anyway.fill('The checks have not run yet.');
  await dialog.getByRole('button', { name: 'Publish' }).click();
  await expect(dialog).toHaveCount(0);
  await page.getByRole('tab', { name: 'Versions' }).click();
  await expect(page.getByText(note)).toBeVisible();
  expect(await findings(page)).toEqual([]);
});

test('standards are shown with the promises that answer them', async ({ page }) => {
  await stands(page, '/controls?tab=map', 'Controls');
  await page.locator('label').filter({ hasText: 'HIPAA' }).click();
  await expect(page).toHaveURL(/standard=hipaa/);
  await expect(page.getByRole('table', { name: 'HIPAA' })).toBeVisible();
});
