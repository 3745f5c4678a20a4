import { expect, test } from 'vitest';
import { codingOf } from './content-coding.ts';

test.each([
  [undefined, 'identity'],
  ['', 'identity'],
  ['identity', 'identity'],
  ['br', 'identity'],
  ['gzip, deflate', 'gzip'],
  ['gzip, zstd', 'zstd'],
  ['GZIP', 'gzip'],
  ['zstd;q=0, gzip', 'gzip'],
  ['zstd;q=0.1, gzip;q=0.9', 'gzip'],
  ['gzip;q=0.0', 'identity'],
  ['*', 'zstd'],
  ['zstd;q=0, *', 'gzip'],
  [';;q=,', 'identity'],
])('answers Accept-Encoding %j with %s', (accept, coding) => {
  expect(codingOf({ headers: { 'accept-encoding': accept } })).toBe(coding);
});
