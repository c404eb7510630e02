import { defineConfig } from '@playwright/test';

// The server under test: a running mailvow dev, named by MAILVOW_BASE_URL and
// MAILVOW_SIGN_IN_URL; without them the console's mock server is started here.
const base = process.env.MAILVOW_BASE_URL ?? 'http://localhost:8097';
const executablePath = process.env.MAILVOW_CHROMIUM ?? '/usr/bin/chromium';

export default defineConfig({
  testDir: '.',
  outputDir: 'results',
  reporter: [['list']],
  // One at a time: the tests share one server, and some of them change it.
  workers: 1,
  timeout: 60_000,
  expect: { timeout: 15_000 },
  globalSetup: './sign-in.ts',
  use: {
    baseURL: base,
    storageState: 'results/session.json',
    trace: 'retain-on-failure',
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
  webServer: process.env.MAILVOW_BASE_URL
    ? undefined
    : {
        command: 'node ../../web/console/mock/server.mjs --port 8097',
        url: base,
        reuseExistingServer: false,
      },
});
