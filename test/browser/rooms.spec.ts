import { expect, findings, test } from './console';

const rooms = [
  ['/', 'Overview'],
  ['/activity', 'Activity'],
  ['/caught', 'Caught inbox'],
  ['/queue', 'Queue'],
  ['/domains', 'Domains'],
  ['/routes', 'Routes'],
  ['/access', 'Tokens & SMTP'],
  ['/conversations', 'SMTP conversations'],
  ['/suppressions', 'Suppressions'],
  ['/controls', 'Controls'],
  ['/subjects', 'Data subjects'],
  ['/inventory', 'Record of processing'],
  ['/policy', 'Privacy policy'],
  ['/sub-processors', 'Sub-processors'],
  ['/documents', 'Documents'],
  ['/incidents', 'Incidents'],
  ['/staff-access', 'Staff access'],
  ['/users', 'Users'],
  ['/customers', 'Customers'],
  ['/profile', 'Your account'],
] as const;

for (const [path, title] of rooms) {
  test(`${title}: opens by its address, fits the screen, and axe finds nothing`, async ({ page }) => {
    await page.goto(path);
    await expect(page.getByRole('heading', { level: 1, name: title, exact: true })).toBeVisible();
    await expect(page).toHaveTitle(new RegExp(title.replace(/[&]/g, '.')));
    await expect(page.getByRole('status').filter({ hasText: 'Loading' })).toHaveCount(0);
    const wider = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    expect(wider, 'the page scrolls sideways').toBeLessThanOrEqual(0);
    expect(await findings(page)).toEqual([]);
  });
}

test('a room can be reached from the navigation', async ({ page, isMobile, viewport }) => {
  await page.goto('/');
  const narrow = isMobile || (viewport?.width ?? 0) < 768;
  if (narrow) await page.getByRole('button', { name: 'Open the menu', exact: true }).click();
  await page.getByRole('navigation', { name: 'Rooms' }).getByRole('link', { name: 'Queue' }).click();
  await expect(page.getByRole('heading', { level: 1, name: 'Queue' })).toBeVisible();
  await expect(page.getByRole('heading', { level: 1, name: 'Queue' })).toBeFocused();
  if (narrow) await expect(page.getByRole('link', { name: 'Domains' })).not.toBeInViewport();
});

test('the first stop of the keyboard skips to the content', async ({ page }) => {
  await page.goto('/queue');
  await expect(page.getByRole('heading', { level: 1 })).toBeVisible();
  await page.keyboard.press('Tab');
  await expect(page.getByRole('link', { name: 'Skip to content' })).toBeFocused();
  await page.keyboard.press('Enter');
  await expect(page.locator('#content')).toBeFocused();
});

test('the colours can be switched and stay', async ({ page, viewport }) => {
  await page.goto('/');
  if ((viewport?.width ?? 0) < 768) await page.getByRole('button', { name: 'Open the menu', exact: true }).click();
  await page.locator('label').filter({ hasText: 'Dark' }).click();
  await expect(page.locator('html')).toHaveAttribute('data-mantine-color-scheme', 'dark');
  await page.reload();
  await expect(page.locator('html')).toHaveAttribute('data-mantine-color-scheme', 'dark');
});

test('a search that finds nothing says what to do', async ({ page }) => {
  await page.goto('/activity');
  await page.getByLabel('Search term').fill('nobody-at-all@example.test');
  await page.getByRole('button', { name: 'Search' }).click();
  await expect(page).toHaveURL(/recipient=nobody-at-all/);
  await expect(page.getByText('Nothing matches')).toBeVisible();
  expect(await findings(page)).toEqual([]);
  await page.getByRole('link', { name: 'Clear filters' }).click();
  await expect(page.getByText('Nothing matches')).toHaveCount(0);
});

test('mail is found by words of its subject', async ({ page, request }) => {
  const subject = `Quarterly figures ${Math.random().toString(36).slice(2)}`;
  const sent = await request.post('/v1/messages', {
    data: { from: 'hello@demo.example', to: ['someone@example.net'], subject, text: 'see there' },
  });
  expect(sent.ok()).toBe(true);
  await page.goto('/activity');
  await page.getByRole('combobox', { name: 'Search by' }).click();
  await page.getByRole('option', { name: 'Subject' }).click();
  await page.getByLabel('Search term').fill(subject.toUpperCase());
  await page.getByRole('button', { name: 'Search' }).click();
  await expect(page).toHaveURL(/subject=/);
  // The words are searched a moment after the mail was taken.
  await expect(async () => {
    await page.reload();
    await expect(page.getByRole('table').getByRole('link').first()).toHaveText(subject, { timeout: 2_000 });
  }).toPass({ timeout: 30_000 });
  await page.getByLabel('Search term').fill('no mail has these words');
  await page.getByRole('button', { name: 'Search' }).click();
  await expect(page.getByText('Nothing matches')).toBeVisible();
  expect(await findings(page)).toEqual([]);
});

test('an address that leads nowhere says so', async ({ page }) => {
  await page.goto('/no/such/room');
  await expect(page.getByText('There is nothing here')).toBeVisible();
  expect(await findings(page)).toEqual([]);
});

test('a message that is gone shows the reason and the console stays usable', async ({ page }) => {
  await page.goto('/activity/msg_00000000000000000000000000');
  await expect(page.getByRole('alert')).toBeVisible();
  await page.locator('#content').getByRole('link', { name: 'Activity' }).click();
  await expect(page.getByRole('heading', { level: 1, name: 'Activity' })).toBeVisible();
});

test('who is no operator reads who can run the checks; an operator runs them and sees what came of it', async ({ page }) => {
  const control = { id: 'x-one', says: 'One is kept.', kind: 'technical', status: 'not_yet', evidence: '', checked_at: null, probed: true };
  const other = { ...control, id: 'x-two', says: 'Two has no check.', probed: false };
  await page.route('**/v1/controls', (route) => route.fulfill({ json: [control, other] }));
  await page.goto('/controls');
  await expect(page.getByText('1 promise waits for a check')).toBeVisible();
  await expect(page.getByText('when an operator of this server asks')).toBeVisible();
  await expect(page.getByRole('button', { name: 'Run all checks now' })).toHaveCount(0);
  expect(await findings(page)).toEqual([]);

  await page.route('**/v1/session', async (route) => {
    const answer = await route.fetch();
    const session = await answer.json();
    await route.fulfill({ json: { ...session, permissions: [...session.permissions, 'platform:manage'] } });
  });
  const found = { ...control, status: 'kept', evidence: 'seen', checked_at: '2026-05-03T12:00:00Z' };
  await page.route('**/v1/controls/check', (route) => route.fulfill({ json: [found, other] }));
  await page.reload();
  await page.getByRole('button', { name: 'Run all checks now' }).click();
  await expect(page.getByText('Every check has run')).toBeVisible();
  await expect(page.getByText('1 of 2 promises are shown to be kept.')).toBeVisible();
  expect(await findings(page)).toEqual([]);
});
