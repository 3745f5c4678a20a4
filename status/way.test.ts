import { seq } from '@tidemark/protocol/cursor';
import { at, EPOCH, facts, failedRun, NOW, PROGRESS, probe } from '@tidemark/testing/facts';
import { describe, expect, test } from 'vitest';
import { deriveStatus } from './derive.ts';
import type { Facts } from './facts.ts';

const hops = (change: Partial<Facts> = {}) => {
  const { source, own } = deriveStatus(facts(change), NOW).way;
  return { source, own };
};
const replica = facts().replica;

test('both hops are green when the PC is up to date', () => {
  const { source, own } = hops();
  expect([source.state, source.text, own.state, own.text]).toEqual(['ok', 'Up to date', 'ok', 'Up to date']);
});

test('the hop stays up to date when only other PCs have changes, and the tooltip mentions these', () => {
  const { own } = hops({ probe: probe({ head: { epoch: EPOCH, seq: seq(6000), committedAt: at(0) } }) });
  expect([own.state, own.text]).toEqual(['ok', 'Up to date']);
  expect(own.more).toContain('The server also has changes that are not for this PC.');
});

test('mentions a recent re-read of all tables, with its reason', () => {
  const feed = { connected: true, heardAt: at(60_500), lagMs: 40 };
  const read = (msAgo: number) =>
    hops({ probe: probe({ feed: { ...feed, base: { at: at(msAgo), why: 'the slot is gone.' } } }) }).source.more;
  expect(read(3 * 86_400_000)).toMatch(/All tables were re-read on 20 Nov at \d\d:42: the slot is gone$/);
  expect(read(8 * 86_400_000)).not.toContain('re-read');
});

test('the hop is not shown as broken after the data selection changed', () => {
  const plan = { by: 'difference' as const, scopes: 'all', rows: 12, tables: 1, bytes: 3_000_000 };
  const { own } = hops({ probe: probe({ behind: null, plan }), waiting: null });
  expect(own).toMatchObject({ state: 'info', broken: false, text: 'Data selection changed' });
  expect(own.more).toContain('About 3 MB to download');
});

test('a comparison is not described as receiving data', () => {
  const progress = { ...PROGRESS, stage: 'comparing' as const, done: 1, total: 4 };
  expect(hops({ phase: { kind: 'syncing', first: false, progress } }).own.text).toBe('Comparing · 25 %');
});

describe('troubles of head office', () => {
  const feed = { connected: true, heardAt: at(60_500), lagMs: 40 };

  test('a fault of the feed breaks the hop from head office, and the other hop claims nothing', () => {
    const fault = { code: 'source_lost' as const, since: at(1_800_000) };
    const { source, own } = hops({ probe: probe({ feed: { ...feed, connected: false, fault } }) });
    expect(source).toMatchObject({
      state: 'warn',
      broken: true,
      text: expect.stringMatching(/^Stopped since \d\d:12$/),
    });
    expect(own.text).toBe('Nothing waiting');
  });

  test('tables in trouble are stated on one hop: the one on which they stop', () => {
    const tables = [{ name: 'orders', reason: 'no_key' as const, asOf: at(0) }];
    const { source, own } = hops({
      replica: { ...replica, setAside: { count: 1, tables } },
      probe: probe({ feed: { ...feed, troubled: 2 } }),
    });
    expect([own.state, own.text]).toEqual(['ok', 'Nothing waiting']);
    expect([source.state, source.text]).toEqual(['warn', '2 tables not sent']);
    const alone = hops({
      replica: { ...replica, setAside: { count: 1, tables } },
      probe: probe({ feed: { ...feed, troubled: 1 } }),
    });
    expect([alone.source.text, alone.own.text]).toEqual(['1 table set aside', 'Nothing waiting']);
    // Head office sends the table again, and the next sync brings it.
    const mended = hops({ replica: { ...replica, setAside: { count: 1, tables } } });
    expect([mended.source.text, mended.own.state, mended.own.text]).toEqual([
      'Up to date',
      'warn',
      '1 table set aside',
    ]);
  });

  test('the time between two heartbeats does not count as lag', () => {
    expect(hops({ probe: probe({ feed: { ...feed, lagMs: 5_400 } }) }).source.text).toBe('Up to date');
    expect(hops({ probe: probe({ feed: { ...feed, lagMs: 12_000 } }) }).source.text).toBe('12 s behind');
  });
});

describe('a hop', () => {
  const CASES: [string, Partial<Facts>, 'source' | 'own'][] = [
    ['when the PC is offline', { online: false }, 'own'],
    ['to head office when the server does not answer', { online: false }, 'source'],
    ['when the server cannot be reached', { lastRun: failedRun({ code: 'relay_unreachable', params: {} }) }, 'own'],
    [
      'when the local database is damaged',
      { replica: { ...replica, fault: { code: 'db_damaged', params: {} } } },
      'own',
    ],
    ['when the agent is down', { agent: { state: 'down', restarts: 5, since: at(0) } }, 'own'],
    ['while the agent starts', { agent: { state: 'starting' } }, 'own'],
    ['when the last answer is old', { probe: probe({}, 3_600_000) }, 'own'],
    ['to head office when the last answer is old', { probe: probe({}, 3_600_000) }, 'source'],
    [
      'when another program changed data here',
      { lastRun: failedRun({ code: 'replica_altered', params: { table: 'orders', detail: 'x' } }) },
      'own',
    ],
    [
      'when the data here differs from the server',
      { lastRun: failedRun({ code: 'replica_differs', params: { rows: 2, tables: 'orders' } }) },
      'own',
    ],
    [
      'to head office, when its feed is disconnected',
      { probe: probe({ feed: { connected: false, heardAt: at(60_000), lagMs: 0 } }) },
      'source',
    ],
    [
      'to head office, when the lag is unknown',
      { probe: probe({ feed: { connected: true, heardAt: at(60_000), lagMs: null } }) },
      'source',
    ],
  ];
  test.each(CASES)('a hop is not green %s', (_, change, which) => {
    expect(hops(change)[which].state).not.toBe('ok');
  });
});

test('a broken hop shows the cause', () => {
  expect(hops({ lastRun: failedRun({ code: 'token_invalid', params: {} }) }).own).toMatchObject({
    broken: true,
    state: 'error',
    text: 'Sign-in needed',
  });
});
