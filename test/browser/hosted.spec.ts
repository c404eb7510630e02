import { expect, findings, test } from './console';

// Nobody has signed in who comes here.
test.use({ storageState: { cookies: [], origins: [] } });

const pages = ['/trust', '/trust/controls', '/trust/policy', '/trust/contact', '/privacy', '/cookies', '/sign-in'];

test('pages without an account are clean, fit the screen, and store only what the register lists', async ({ page, context, request }) => {
  const { stored } = await (await request.get('/cookies.json')).json();
  const listed = (name: string) =>
    stored.some((s: { name: string }) => s.name === name || (s.name.endsWith('…') && name.startsWith(s.name.slice(0, -1))));
  for (const path of pages) {
    await page.goto(path);
    await expect(page.getByRole('heading', { level: 1 })).toBeVisible();
    await expect(page.getByRole('link', { name: 'What is stored in your browser' }).or(page.locator('a[href="/cookies"]')).first()).toBeVisible();
    expect(await findings(page), path).toEqual([]);
    const wider = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    expect(wider, `${path} scrolls sideways`).toBeLessThanOrEqual(0);
    expect(await context.cookies(), path).toEqual([]);
    const names = await page.evaluate(() => [...Object.keys(localStorage), ...Object.keys(sessionStorage)]);
    expect(names.filter((n) => !listed(n)), path).toEqual([]);
    if (path !== '/sign-in') expect(names, path).toEqual([]);
  }
});

test('a browser that asks not to be tracked is told that it is honoured', async ({ page }) => {
  await page.setExtraHTTPHeaders({ 'Sec-GPC': '1' });
  await page.goto('/cookies');
  await expect(page.getByRole('status')).toContainText('Global Privacy Control. It is honoured');
  expect(await findings(page)).toEqual([]);
});
