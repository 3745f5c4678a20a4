import { defineConfig } from '@playwright/test';
import { useCompileCache } from '@tidemark/testing/processes/compile-cache';

/**
 * Tests of the real app in its real Electron. Screenshots go to screenshots/ at the root. As in vitest.config.ts, the
 * limits end a test that hangs and do not say how long a test may take.
 */
useCompileCache();

const MINUTE = 60_000;

export default defineConfig({
  testDir: '.',
  testMatch: '**/*.electron.test.ts',
  outputDir: '../test-results/electron',
  timeout: 10 * MINUTE,
  expect: { timeout: 2 * MINUTE },
  // Each test has servers and an Electron of its own. More at once only make them wait for each other.
  workers: 1,
  reporter: [['list']],
  forbidOnly: Boolean(process.env.CI),
});
