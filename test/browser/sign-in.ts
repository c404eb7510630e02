import { mkdirSync } from 'node:fs';
import { chromium, expect, type FullConfig } from '@playwright/test';

/** Signs in once by the one-time link and keeps the session for every test. */
export default async function signIn(config: FullConfig) {
  const { baseURL, launchOptions } = config.projects[0].use;
  const link = process.env.MAILVOW_SIGN_IN_URL ?? `${baseURL}/sign-in?link=mock`;
  const browser = await chromium.launch(launchOptions);
  const page = await browser.newPage();
  await page.goto(link);
  await expect(page.getByRole('heading', { level: 1, name: 'Overview' })).toBeVisible({ timeout: 20_000 });
  mkdirSync('results', { recursive: true });
  await page.context().storageState({ path: 'results/session.json' });
  await browser.close();
}
