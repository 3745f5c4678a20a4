import { defineConfig } from 'vitest/config';

const never = ['**/node_modules/**', '**/out/**', '**/dist/**', 'bench/peers/**', '**/*.electron.test.ts'];

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['**/*.test.{ts,tsx}'],
          exclude: [...never, '**/*.pg.test.ts'],
          testTimeout: 20_000,
        },
      },
      {
        test: {
          name: 'pg',
          include: ['**/*.pg.test.ts'],
          exclude: never,
          testTimeout: 240_000,
          hookTimeout: 120_000,
          // Each file starts servers of its own: more at once only makes them wait for each other.
          maxWorkers: 2,
        },
      },
    ],
  },
});
