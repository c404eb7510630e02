import { expect, findings, test } from './console';

test.use({ storageState: { cookies: [], origins: [] } });

test('without a session every room leads to the sign-in, and back afterwards', async ({ page }) => {
  await page.goto('/queue?state=held');
  await expect(page.getByRole('heading', { name: 'Sign in' })).toBeVisible();
  await expect(page).toHaveURL(/next=/);
  expect(await findings(page)).toEqual([]);
});

test('a link that was used says so and offers the form', async ({ page }) => {
  await page.goto('/sign-in?link=expired');
  await expect(page.getByRole('alert')).toContainText('does not work any more');
  await expect(page.getByLabel('E-mail address')).toBeVisible();
  expect(await findings(page)).toEqual([]);
});

test('a wrong password is refused with the reason', async ({ page }) => {
  await page.goto('/sign-in');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await expect(page.getByText('Enter your password.')).toBeVisible();
  await page.getByLabel('E-mail address').fill('nobody@example.test');
  await page.locator('input[type=password]').fill('wrong');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await expect(page.getByRole('alert')).toBeVisible();
  expect(await findings(page)).toEqual([]);
});

test.describe('signed in', () => {
  test.use({ storageState: 'results/session.json' });

  test('a browser stores only what the register lists, and no cookie longer than it says', async ({ page, context }) => {
    const { stored } = await (await page.request.get('/cookies.json')).json();
    const of = (name: string) =>
      stored.find((s: { name: string }) => s.name === name || (s.name.endsWith('…') && name.startsWith(s.name.slice(0, -1))));
    for (const path of ['/', '/queue', '/documents']) {
      await page.goto(path);
      await expect(page.getByRole('heading', { level: 1 })).toBeVisible();
    }
    const names = await page.evaluate(() => [...Object.keys(localStorage), ...Object.keys(sessionStorage)]);
    expect(names.filter((n) => !of(n))).toEqual([]);
    for (const c of await context.cookies()) {
      expect(of(c.name), c.name).toBeTruthy();
      expect(c.expires - Date.now() / 1000, c.name).toBeLessThanOrEqual(of(c.name).max_age);
    }
  });
});
