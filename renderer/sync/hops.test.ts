import { seq } from '@tidemark/protocol/cursor';
import { deriveStatus } from '@tidemark/status/derive';
import type { Facts } from '@tidemark/status/facts';
import { at, EPOCH, facts, failedRun, NOW, PROGRESS, probe } from '@tidemark/testing/facts';
import { describe, expect, test } from 'vitest';
import { ownHop, sourceHop } from './hops.ts';

const hops = (change: Partial<Facts> = {}) => {
  const each = facts(change);
  const status = deriveStatus(each, NOW);
  return { source: sourceHop(each, status, NOW), own: ownHop(each, status, NOW) };
};
const replica = facts().replica;

test('up to date: both hops are green and say so', () => {
  const { source, own } = hops();
  expect([source.state, source.text, own.state, own.text]).toEqual(['ok', 'In step', 'ok', 'In step']);
});

test('what the relay has besides for others leaves the hop in step, and says so', () => {
  const { own } = hops({ probe: probe({ head: { epoch: EPOCH, seq: seq(6000), committedAt: at(0) } }) });
  expect([own.state, own.text]).toEqual(['ok', 'In step']);
  expect(own.more).toContain('What the relay has besides is not for this PC.');
});

test('that head office was read anew, and why, is told while it is news', () => {
  const feed = { connected: true, heardAt: at(60_500), lagMs: 40 };
  const read = (msAgo: number) =>
    hops({ probe: probe({ feed: { ...feed, base: { at: at(msAgo), why: 'the slot is gone.' } } }) }).source.more;
  expect(read(3 * 86_400_000)).toMatch(/Read anew on 20 Nov at \d\d:42: the slot is gone$/);
  expect(read(8 * 86_400_000)).not.toContain('Read anew');
});

test('a share that was changed is no fault of the way', () => {
  const plan = { by: 'difference' as const, scopes: 'all', rows: 12, tables: 1, bytes: 3_000_000 };
  const { own } = hops({ probe: probe({ behind: null, plan }), waiting: null });
  expect(own).toMatchObject({ state: 'info', broken: false, text: 'Share changed' });
  expect(own.more).toContain('About 3 MB to download');
});

test('a comparison is not said to receive', () => {
  const progress = { ...PROGRESS, stage: 'comparing' as const, done: 1, total: 4 };
  expect(hops({ phase: { kind: 'syncing', first: false, progress } }).own.text).toBe('Comparing · 25 %');
});

describe('a hop is not green', () => {
  const CASES: [string, Partial<Facts>, 'source' | 'own'][] = [
    ['when the PC is offline', { online: false }, 'own'],
    ['to head office either, when the PC does not hear the relay', { online: false }, 'source'],
    ['when the relay cannot be reached', { lastRun: failedRun({ code: 'relay_unreachable', params: {} }) }, 'own'],
    [
      'when the local database is damaged',
      { replica: { ...replica, fault: { code: 'db_damaged', params: {} } } },
      'own',
    ],
    ['when the engine is down', { agent: { state: 'down', restarts: 5, since: at(0) } }, 'own'],
    ['while the engine starts', { agent: { state: 'starting' } }, 'own'],
    ['when the last answer is old', { probe: probe({}, 3_600_000) }, 'own'],
    ['to head office, when the last answer is old', { probe: probe({}, 3_600_000) }, 'source'],
    [
      'when another program changed data here',
      { lastRun: failedRun({ code: 'replica_altered', params: { table: 'orders', detail: 'x' } }) },
      'own',
    ],
    [
      'when the data here differs from the relay',
      { lastRun: failedRun({ code: 'replica_differs', params: { rows: 2, tables: 'orders' } }) },
      'own',
    ],
    [
      'to head office, when its feed is gone',
      { probe: probe({ feed: { connected: false, heardAt: at(60_000), lagMs: 0 } }) },
      'source',
    ],
    [
      'to head office, when its lag is not known',
      { probe: probe({ feed: { connected: true, heardAt: at(60_000), lagMs: null } }) },
      'source',
    ],
  ];
  test.each(CASES)('%s', (_, change, which) => {
    expect(hops(change)[which].state).not.toBe('ok');
  });
});

test('a broken hop says what broke it', () => {
  expect(hops({ lastRun: failedRun({ code: 'token_invalid', params: {} }) }).own).toMatchObject({
    broken: true,
    state: 'error',
    text: 'Sign-in needed',
  });
});
