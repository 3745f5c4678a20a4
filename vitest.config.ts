import os from 'node:os';
import { useCompileCache } from '@tidemark/testing/processes/compile-cache';
import { defineConfig } from 'vitest/config';

/**
 * Three projects: `unit` needs nothing but Node, `pg` starts Postgres servers, `clone` installs packages from a registry.
 * The limits end a test that hangs. They do not say how long a test may take: many tests start processes, on machines
 * that have other work to do.
 */
useCompileCache();

const MINUTE = 60_000;
/** They read /proc, or mount a small disk. */
const linuxOnly = [
  'e2e/hazards/disk-fills.test.ts',
  'e2e/hazards/disk-full.test.ts',
  'e2e/hazards/large-transaction.pg.test.ts',
];
const excluded = [
  '**/node_modules/**',
  '**/out/**',
  '**/dist/**',
  'bench/peers/**',
  '**/*.electron.test.ts',
  ...(process.platform === 'linux' ? [] : linuxOnly),
];
const limits = {
  testTimeout: 5 * MINUTE,
  hookTimeout: 5 * MINUTE,
  teardownTimeout: MINUTE,
  expect: { poll: { timeout: 2 * MINUTE, interval: 25 } },
};

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          ...limits,
          name: 'unit',
          include: ['**/*.test.{ts,tsx}'],
          exclude: [...excluded, '**/*.pg.test.ts', '**/*.clone.test.ts'],
          // The long tests wait for processes and network answers more than they compute.
          maxWorkers: os.availableParallelism() + 1,
        },
      },
      {
        test: {
          ...limits,
          name: 'pg',
          include: ['**/*.pg.test.ts'],
          exclude: excluded,
          testTimeout: 10 * MINUTE,
          // Each file starts servers of its own. More files at once only make them wait for each other.
          maxWorkers: 2,
        },
      },
      {
        test: {
          ...limits,
          name: 'clone',
          include: ['**/*.clone.test.ts'],
          exclude: excluded,
          testTimeout: 120 * MINUTE,
        },
      },
    ],
  },
});
