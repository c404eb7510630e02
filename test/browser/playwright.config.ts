import { readFileSync } from 'node:fs';
import { defineConfig } from '@playwright/test';

// The server under test is a running mailvow dev: scripts/test starts one and
// names it. By hand: mailvow dev --json >server.json, and MAILVOW_SERVER_JSON.
if (process.env.MAILVOW_SERVER_JSON && !process.env.MAILVOW_BASE_URL) {
  const server = JSON.parse(readFileSync(process.env.MAILVOW_SERVER_JSON, 'utf8'));
  process.env.MAILVOW_BASE_URL ??= new URL(server.sign_in_url).origin;
  process.env.MAILVOW_SIGN_IN_URL ??= server.sign_in_url;
  process.env.MAILVOW_OPERATOR_URL ??= server.operator_sign_in_url;
  process.env.MAILVOW_API_TOKEN ??= server.api_token;
}
const base = process.env.MAILVOW_BASE_URL;
if (!base) throw new Error('No server: set MAILVOW_SERVER_JSON to the file that mailvow dev --json printed.');
const executablePath = process.env.MAILVOW_CHROMIUM ?? '/usr/bin/chromium-headless-shell';

export default defineConfig({
  testDir: '.',
  outputDir: 'results',
  reporter: [['list']],
  // A failure is looked at with: PLAYWRIGHT_ARGS='--trace retain-on-failure'. Recording costs a fifth of the time.
  // They share one server; what a test changes has a name that no other uses.
  fullyParallel: true,
  workers: 2,
  timeout: 60_000,
  expect: { timeout: 15_000 },
  globalSetup: './sign-in.ts',
  use: {
    baseURL: base,
    storageState: 'results/session.json',
    launchOptions: {
      executablePath,
      args: [
        '--no-sandbox',
        '--disable-gpu',
        '--disable-quic',
        '--no-first-run',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
      ],
    },
  },
  projects: [
    { name: 'desktop', use: { viewport: { width: 1280, height: 800 }, colorScheme: 'light' } },
    { name: 'phone', use: { viewport: { width: 390, height: 844 }, colorScheme: 'dark', hasTouch: true } },
  ],
});
