import { TidemarkError } from '@tidemark/protocol/errors';
import type { FeedReport } from '@tidemark/protocol/trouble';
import { beforeEach, expect, test } from 'vitest';
import { FaultReports } from './fault-reports.ts';
import type { SourceTrouble } from './source.ts';

let now: number;
let sent: FeedReport[];
/** Ends the report in flight. */
let answer: (refused?: boolean) => void;
let reports: FaultReports;
beforeEach(() => {
  now = 1_000;
  sent = [];
  reports = new FaultReports(
    (report) => {
      sent.push(structuredClone(report));
      return new Promise((resolve, reject) => {
        answer = (refused = false) => (refused ? reject(new Error('404')) : resolve());
      });
    },
    () => now,
  );
});

const settle = async (refused = false) => {
  answer(refused);
  await new Promise((resolve) => setImmediate(resolve));
};
const lost = new TidemarkError('source_lost', { detail: 'x' });

test('F18: reports a fault with its attempts since the last progress, and its end only after progress', async () => {
  reports.onFault(lost);
  await settle();
  now = 5_000;
  reports.onSession();
  await settle();
  reports.onFault(lost);
  await settle();
  now = 9_000;
  reports.onProgress();
  await settle();
  expect(sent.map(({ fault }) => fault && [fault.code, fault.attempts, fault.since])).toEqual([
    ['source_lost', 1, 1_000],
    ['source_lost', 1, 1_000],
    ['source_lost', 2, 1_000],
    null,
  ]);
});

test('F18: progress without a fault sends nothing', () => {
  reports.onProgress();
  expect(sent).toEqual([]);
});

test('F18: sends one report at a time, and then the newest', async () => {
  for (let n = 0; n < 5; n++) reports.onFault(lost);
  reports.onProgress();
  await settle();
  await settle();
  expect(sent.map(({ fault }) => fault?.attempts ?? null)).toEqual([1, null]);
});

test('F18: a relay that refuses reports does no harm', async () => {
  reports.onFault(lost);
  await settle(true);
  reports.onFault(lost);
  await settle(true);
  await reports.close();
  expect(sent.map(({ fault }) => fault?.attempts)).toEqual([1, 2]);
});

test('F18: names tables in trouble up to the size that the relay accepts, and counts the others', async () => {
  const trouble = (n: number): SourceTrouble => ({
    ...{ id: null, table: `t${n}`, reason: 'no_key' as const },
    ...{ detail: 'ä'.repeat(3_000), todo: 'ä'.repeat(3_000) },
  });
  const troubles = Array.from({ length: 700 }, (_, n) => trouble(n));
  reports.onTables(troubles, new Set(['t1']));
  await settle();
  reports.onTables(troubles, new Set(['t1']));
  expect(sent).toHaveLength(1);
  const [report] = sent;
  expect((report?.tables.length ?? 0) + (report?.more ?? 0)).toBe(700);
  expect(report?.tables.slice(0, 2)).toMatchObject([{ held: false }, { held: true }]);
  expect(Buffer.byteLength(JSON.stringify(report))).toBeLessThan(1024 * 1024);
});
