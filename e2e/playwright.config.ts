import { defineConfig } from '@playwright/test';

/** Tests of the real app in its real Electron. Screenshots go to screenshots/ at the root. */
export default defineConfig({
  testDir: '.',
  testMatch: '**/*.electron.test.ts',
  outputDir: '../test-results',
  timeout: 120_000,
  expect: { timeout: 20_000 },
  // Each test has servers and an Electron of its own: more at once only makes them wait for each other.
  workers: 1,
  reporter: [['list']],
  forbidOnly: Boolean(process.env.CI),
});
