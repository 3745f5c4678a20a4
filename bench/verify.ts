import type { BatchLine } from '@tidemark/protocol/lines';
import type { TableSchema } from '@tidemark/protocol/schema';
import { Branch } from '@tidemark/testing/branch';
import { batchOf, position } from '@tidemark/testing/test-relay';
import Database from 'better-sqlite3';
import { inTurn, type Result, seconds, thousands } from './lib.ts';

/** The verify benchmark: how fast a terminal compares its replica with the relay when they are equal. */

const ROWS = Number(process.env.BENCH_VERIFY_ROWS ?? 1_000_000);
const LINE_ROWS = 500;
const BATCH_LINES = 100;

const column = (name: string, type: TableSchema['columns'][number]['type']) => ({ name, type, source: type });
const SOLD: TableSchema = {
  name: 'sold',
  columns: [
    column('id', 'integer'),
    column('name', 'text'),
    column('amount', 'numeric'),
    column('at', 'text'),
    column('note', 'text'),
    column('branch', 'integer'),
  ],
  key: ['id'],
};

const row = (n: number) => [
  n,
  `article number ${n}`,
  ((n * 7919) % 10_000_000) / 100,
  `2026-11-23T08:00:00.${String(n % 1_000_000).padStart(6, '0')}Z`,
  n % 3 === 0 ? null : `sold on paper, to be entered ${n * 7}`,
  n % 40,
];

async function fill({ relay }: Branch): Promise<void> {
  await relay.session();
  let lines: BatchLine[] = [
    ['s', 1, SOLD],
    ['B', position(1), '2026-11-23T08:00:00.000000Z', 'bench'],
  ];
  for (let from = 1; from <= ROWS; from += LINE_ROWS) {
    lines.push(['i', 1, Array.from({ length: Math.min(LINE_ROWS, ROWS - from + 1) }, (_, i) => row(from + i))]);
    const last = from + LINE_ROWS > ROWS;
    if (last) lines.push(['c', ROWS]);
    if (!last && lines.length < BATCH_LINES) continue;
    await relay.send(batchOf(lines));
    lines = [['s', 1, SOLD]];
  }
}

/**
 * Verifies a replica that equals the relay, with no checksums cached. Returns rows/s for the work of relay and terminal
 * together.
 */
export async function benchVerify(): Promise<Result> {
  const branch = await Branch.start();
  try {
    await fill(branch);
    await branch.synced();
    const rate = await inTurn(
      async () => {
        await branch.relay.restart('{}', Date.now());
        branch.faultProxy.forwardTo(branch.relay.url);
        const elapsed = await seconds(async () => {
          const run = await branch.run('verify');
          if (run.outcome !== 'done' || run.differences?.length !== 0) throw new Error(JSON.stringify(run));
        });
        return ROWS / elapsed;
      },
      async () => {
        const db = new Database(branch.database, { readonly: true });
        let rows = 0;
        const elapsed = await seconds(async () => {
          for (const _ of db.prepare('SELECT * FROM sold').raw().iterate()) rows++;
        });
        db.close();
        return rows / elapsed;
      },
    );
    const ratio = rate.ours / rate.limit;
    return {
      what: `verify ${thousands(ROWS)} rows with the relay, rows/s`,
      ours: thousands(rate.ours),
      limit: `plain SELECT * in better-sqlite3: ${thousands(rate.limit)}`,
      ratio: ratio.toFixed(2),
      reach: '≥ 0.40',
      met: ratio >= 0.4,
    };
  } finally {
    await branch.stop();
  }
}
