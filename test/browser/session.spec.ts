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
