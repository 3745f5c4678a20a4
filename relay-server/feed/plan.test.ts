import { Epoch, seq } from '@tidemark/protocol/cursor';
import { describe, expect, test } from 'vitest';
import { type PlanFacts, planOf } from './plan.ts';

const epoch = Epoch.parse('aaaaaaaa');
const at = (value: number) => ({ epoch, seq: seq(value) });
const unexpected = (): never => {
  throw new Error('the plan does not depend on this fact');
};
const behind = (transactions: number, changes: number, bytes: number) => ({
  transactions,
  changes,
  bytes,
  oldestAt: null,
});

/**
 * The facts of a terminal at seq 10 of 20, with the horizon at 5. Facts that cost a query throw unless a test replaces
 * them.
 */
const facts = (more: Partial<PlanFacts>): PlanFacts => ({
  head: at(20),
  horizon: seq(5),
  cursor: at(10),
  entitled: 'all',
  holds: 'all',
  behind: unexpected,
  size: unexpected,
  changedRows: unexpected,
  snapshot: unexpected,
  pageRatio: 0.5,
  compactionRefused: unexpected,
  ...more,
});
const size = () => ({ rows: 1000, tables: 3 });
const noSnapshot = () => null;

describe('without a backlog to replay', () => {
  test('offers nothing before the first base copy', () => {
    expect(planOf(facts({ head: null, cursor: null }))).toEqual({ behind: null, plan: { by: 'none' } });
  });

  test('a terminal at the head is caught up, at the cost of one query', () => {
    expect(planOf(facts({ cursor: at(20), behind: () => behind(0, 0, 0) }))).toEqual({
      behind: behind(0, 0, 0),
      plan: { by: 'none' },
    });
  });

  test.each([
    ['an empty replica', { cursor: null }, 'first'],
    ['a cursor of another epoch', { cursor: { epoch: Epoch.parse('bbbbbbbb'), seq: seq(10) } }, 'epoch_changed'],
    ['a cursor past the head', { cursor: at(21) }, 'cursor_ahead'],
    ['a cursor before the horizon', { cursor: at(4) }, 'behind_horizon'],
  ] as const)('%s needs a snapshot', (_, more, reason) => {
    expect(planOf(facts({ ...more, size, snapshot: noSnapshot }))).toEqual({
      behind: null,
      plan: { by: 'snapshot', scopes: 'all', reason, rows: 1000, tables: 3, bytes: 60_000 },
    });
  });

  test('a pull can start at the horizon', () => {
    const plan = planOf(facts({ cursor: at(5), behind: () => behind(15, 15, 1000) }));
    expect(plan.plan.by).toBe('pages');
  });

  test.each([at(10), at(4), at(20)])('a replica with other scopes needs the difference, at cursor %j', (cursor) => {
    expect(planOf(facts({ cursor, holds: 'other', size, snapshot: noSnapshot }))).toEqual({
      behind: null,
      plan: { by: 'difference', scopes: 'all', rows: 1000, tables: 3, bytes: 60_000 },
    });
  });

  test.each([
    ['an empty replica', null, 'first'],
    ['a cursor past the head', at(21), 'cursor_ahead'],
  ] as const)('%s needs a snapshot whatever scopes the replica holds', (_, cursor, reason) => {
    expect(planOf(facts({ cursor, holds: 'other', size, snapshot: noSnapshot })).plan).toMatchObject({ reason });
  });
});

describe('the size of a snapshot', () => {
  const first = (more: Partial<PlanFacts>) => planOf(facts({ cursor: null, size, ...more })).plan;

  test('estimates the size of a snapshot from the bytes per row of the newest one', () => {
    const snapshot = () => ({ rows: 500, bytes: 90_000, downloadBytes: 20_000 });
    expect(first({ snapshot })).toMatchObject({ bytes: 40_000 });
  });

  test('uses the default row size when the newest snapshot has no rows', () => {
    const snapshot = () => ({ rows: 0, bytes: 8192, downloadBytes: 300 });
    expect(first({ snapshot })).toMatchObject({ bytes: 60_000 });
  });

  test("uses the newest snapshot's compression ratio when no page has been compressed yet", () => {
    const snapshot = () => ({ rows: 0, bytes: 1000, downloadBytes: 100 });
    expect(first({ snapshot, pageRatio: null })).toMatchObject({ bytes: 12_000 });
  });

  test('uses the default row size and ratio when nothing has been compressed yet', () => {
    expect(first({ snapshot: noSnapshot, pageRatio: null })).toMatchObject({ bytes: 36_000 });
  });
});

describe('a backlog', () => {
  const KIB = 1024;
  const MIB = 1024 * KIB;

  test('a small backlog is sent as pages without estimating a snapshot', () => {
    expect(planOf(facts({ behind: () => behind(2, 10, 64 * KIB) }))).toEqual({
      behind: behind(2, 10, 64 * KIB),
      plan: { by: 'pages', scopes: 'all', bytes: 32 * KIB, squashed: false },
    });
  });

  test('a backlog that costs no more than a snapshot is sent as pages', () => {
    const plan = planOf(facts({ behind: () => behind(2, 1000, 100_000), size, snapshot: noSnapshot })).plan;
    expect(plan).toEqual({ by: 'pages', scopes: 'all', bytes: 50_000, squashed: false });
  });

  test('a snapshot replaces a backlog that costs more', () => {
    const plan = planOf(
      facts({ behind: () => behind(2, 1_000, 150_000), size: () => ({ rows: 900, tables: 3 }), snapshot: noSnapshot }),
    ).plan;
    // 150 bytes per change suggest 150 bytes per row. 900 rows, compressed to half their size, are 67,500 bytes.
    expect(plan).toEqual({ by: 'snapshot', scopes: 'all', reason: 'cheaper', rows: 900, tables: 3, bytes: 67_500 });
  });

  test('small changes do not lower the estimated size of a row', () => {
    const plan = planOf(facts({ behind: () => behind(2, 100_000, 200_000), size, snapshot: noSnapshot })).plan;
    expect(plan).toMatchObject({ by: 'snapshot', bytes: 60_000 });
  });

  const large = (more: Partial<PlanFacts>) =>
    planOf(
      facts({
        behind: () => behind(100, 10_000, 2 * MIB),
        size: () => ({ rows: 1_000_000, tables: 3 }),
        snapshot: noSnapshot,
        compactionRefused: () => false,
        changedRows: () => 1_000,
        ...more,
      }),
    ).plan;

  test('a large backlog is compacted, and its cost depends on the number of changed rows', () => {
    expect(large({})).toEqual({
      by: 'pages',
      scopes: 'all',
      bytes: Math.ceil(1000 * ((2 * MIB) / 10_000) * 0.5),
      squashed: true,
    });
  });

  test('compacted pages never cost more than the ordinary pages', () => {
    expect(large({ changedRows: () => 1_000_000 })).toMatchObject({ bytes: MIB, squashed: true });
  });

  test.each<[string, Partial<PlanFacts>]>([
    ['compaction was refused before', { compactionRefused: () => true }],
    ['it is one transaction', { behind: () => behind(1, 10_000, 2 * MIB), compactionRefused: unexpected }],
    [
      'it is below the size that is worth a build',
      { behind: () => behind(100, 10_000, MIB - 1), compactionRefused: unexpected },
    ],
    [
      'it is above the size that a build can take',
      {
        behind: () => behind(100, 10_000, 512 * MIB + 1),
        compactionRefused: unexpected,
        size: () => ({ rows: 1e9, tables: 3 }),
      },
    ],
  ])('pages are not compacted when %s', (_, more) => {
    expect(large({ ...more, changedRows: unexpected })).toMatchObject({ by: 'pages', squashed: false });
  });

  test.each([MIB, 512 * MIB])('a backlog of %d bytes is compacted', (bytes) => {
    expect(large({ behind: () => behind(100, 10_000, bytes), size: () => ({ rows: 1e9, tables: 3 }) })).toMatchObject({
      squashed: true,
    });
  });

  test('the cost of a backlog without changes is finite', () => {
    expect(planOf(facts({ behind: () => behind(0, 0, 100 * KIB), size, snapshot: noSnapshot })).plan).toMatchObject({
      by: 'pages',
      bytes: 50 * KIB,
    });
  });
});
