import { expect, test } from 'vitest';
import { PATHS } from './paths.ts';

/** The paths of version 1, as released clients request them. */
test('every path equals the released one', () => {
  expect(Object.fromEntries(Object.entries(PATHS).map(([name, { pattern }]) => [name, pattern]))).toEqual({
    session: '/v1/feeds/:feed/session',
    batches: '/v1/feeds/:feed/batches',
    status: '/v1/feeds/:feed/status',
    page: '/v1/feeds/:feed/pages/:epoch/:scopes/:start/:target',
    squashed: '/v1/feeds/:feed/squashed/:epoch/:scopes/:start/:target',
    transactions: '/v1/feeds/:feed/transactions',
    troubles: '/v1/feeds/:feed/troubles',
    tables: '/v1/feeds/:feed/tables',
    snapshot: '/v1/feeds/:feed/snapshot',
    snapshotFile: '/v1/feeds/:feed/snapshots/:epoch/:scopes/:seq',
    digests: '/v1/feeds/:feed/snapshots/:epoch/:scopes/:seq/digests',
    rows: '/v1/feeds/:feed/snapshots/:epoch/:scopes/:seq/rows',
  });
});

test('a URL contains the values in the order of the fields', () => {
  expect(PATHS.status('shop')).toBe('/v1/feeds/shop/status');
  expect(PATHS.page('shop', '7f3a', 'all', '17.3', 20)).toBe('/v1/feeds/shop/pages/7f3a/all/17.3/20');
  expect(PATHS.rows('shop', '7f3a', 'all', 5)).toBe('/v1/feeds/shop/snapshots/7f3a/all/5/rows');
});
