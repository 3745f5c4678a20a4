import { defineConfig } from '@playwright/test';
import { useCompileCache } from '@tidemark/testing/processes/compile-cache';

/**
 * Configures the tests of the built app in a real Electron, which write screenshots to screenshots/ at the root. As in
 * vitest.config.ts, the time limits exist to end a test that hangs, not to measure speed.
 */
useCompileCache();

const MINUTE = 60_000;

export default defineConfig({
  testDir: '.',
  testMatch: '**/*.electron.test.ts',
  outputDir: '../test-results/electron',
  timeout: 10 * MINUTE,
  expect: { timeout: 2 * MINUTE },
  // Each test starts its own servers and its own Electron, so running more at once does not make the suite faster.
  workers: 1,
  reporter: [['list']],
  forbidOnly: Boolean(process.env.CI),
});
