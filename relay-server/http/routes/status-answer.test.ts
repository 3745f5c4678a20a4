import { Epoch, seq } from '@tidemark/protocol/cursor';
import { ScopeSet } from '@tidemark/protocol/page';
import { expect, test } from 'vitest';
import { statusAnswer } from './status-answer.ts';

/** A number of changes or bytes that no feed exceeds: a billion of them a second for a month. */
const MANY = 2_592_000_000_000_000;
const AT = '2026-11-23T08:00:00.123456Z';

test('S2: a status whose members are all present and as long as they can be has at most 1 kB', () => {
  const answer = statusAnswer(
    { name: 'ä'.repeat(60), version: '10.20.30-rc.1' },
    {
      nowMs: Date.parse(AT),
      row: {
        epoch: Epoch.parse('0123456789abcdef'),
        head: seq(10_000_000_000),
        horizon: seq(10_000_000_000),
        position: null,
        source: null,
        committedAt: AT,
        nextTableId: 1,
        basedAt: AT,
        basedWhy: 'x'.repeat(5_000),
      },
      keepsUntilMs: Date.parse(AT),
      behind: { transactions: 10_000_000_000, changes: MANY, bytes: MANY, oldestAt: AT, oldest: seq(10_000_000_000) },
      plan: {
        by: 'snapshot',
        scopes: ScopeSet.parse('f'.repeat(32)),
        reason: 'behind_horizon',
        rows: MANY,
        tables: 10_000,
        bytes: MANY,
      },
      connected: false,
      heardAtMs: Date.parse(AT),
      lagMs: MANY,
      fault: { code: 'relay_not_tidemark', since: Date.parse(AT) },
      troubled: 100_000,
    },
  );
  expect(Buffer.byteLength(JSON.stringify(answer))).toBeLessThanOrEqual(1024);
});
