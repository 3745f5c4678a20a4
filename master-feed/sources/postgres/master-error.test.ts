import { TidemarkError } from '@tidemark/protocol/errors';
import { expect, test } from 'vitest';
import { BaseCopyNeeded } from '../../source.ts';
import { isRefusal, masterError } from './master-error.ts';

const failure = (message: string, code?: string) =>
  Object.assign(new Error(message), code === undefined ? {} : { code });

test.each([
  ['42501', 'permission denied for schema s', 'source_not_ready', /permission denied for schema s\. Grant it/],
  ['53100', 'could not extend file', 'source_lost', /Free disk space at the master/],
  ['53200', 'out of memory', 'source_lost', /Free memory/],
  ['53300', 'sorry, too many clients already', 'source_lost', /raise max_connections/],
  ['53400', 'all replication slots are in use', 'source_not_ready', /Raise the setting/],
  ['55P03', 'lock not available', 'source_lost', /lock not available/],
  ['57014', 'canceling statement due to statement timeout', 'source_lost', /statement timeout/],
  ['57P01', 'terminating connection due to administrator command', 'source_lost', /administrator/],
  ['57P04', 'database was dropped', 'source_not_ready', /Create it/],
  ['40001', 'canceling statement due to conflict with recovery', 'source_lost', /recovery/],
  [
    '25006',
    'cannot execute CREATE PUBLICATION in a read-only transaction',
    'source_not_ready',
    /Connect to the primary/,
  ],
  ['58P01', 'requested WAL segment has already been removed', 'source_lost', /Check the disk/],
  ['P0001', 'change freeze', 'source_not_ready', /event trigger.*change freeze/],
  ['08P01', 'unsupported startup parameter: replication', 'config_invalid', /connection pooler/],
  ['XX001', 'invalid page in block 7', 'source_lost', /Check the log of the master/],
  ['ECONNRESET', 'read ECONNRESET', 'source_lost', /ECONNRESET/],
  ['EPIPE', 'write EPIPE', 'source_lost', /EPIPE/],
  [undefined, 'Connection terminated unexpectedly', 'source_lost', /terminated/],
])('not-our-bug: %s (%s) becomes %s', (state, message, code, says) => {
  const error = masterError(failure(message, state));
  expect(error).toMatchObject({ code });
  expect((error as Error).message).toMatch(says);
});

test.each([
  failure('syntax error at or near "FORM"', '42601'),
  failure('column "x" does not exist', '42703'),
  new TypeError('undefined is not a function'),
  new TidemarkError('slot_in_use', { slot: 'x' }),
  new BaseCopyNeeded('the slot is gone'),
])('a bug of the feed and an error with a code stay unchanged: %s', (error) => {
  expect(masterError(error)).toBe(error);
});

test('a refused statement leaves the connection usable', () => {
  expect(isRefusal(failure('change freeze', 'P0001'))).toBe(true);
  expect(isRefusal(failure('must be owner', '42501'))).toBe(true);
  expect(isRefusal(failure('terminating connection', '57P01'))).toBe(false);
  expect(isRefusal(failure('write EPIPE', 'EPIPE'))).toBe(false);
  expect(isRefusal(new Error('Connection terminated'))).toBe(false);
});
