import { createHash } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { WireRow } from '@tidemark/protocol/lines';
import type { TableSchema } from '@tidemark/protocol/schema';
import { readConfig } from '@tidemark/relay-server/config/relay-config';
import { Ingest } from '@tidemark/relay-server/ingest/ingest';
import { startRelay } from '@tidemark/relay-server/relay';
import type { Filters } from '@tidemark/relay-server/routing/filters';
import { Tokens } from '@tidemark/relay-server/tokens/tokens';
import { openWriter } from '@tidemark/table-store/sqlite';
import { temporaryFolder } from '@tidemark/testing/temporary-folder';
import { TestRelay } from '@tidemark/testing/test-relay';
import { inTurn, median, type Result, RUNS, thousands } from './lib.ts';

/**
 * The scope benchmarks: the cost of scopes and of a long log when the relay routes a change and when a terminal pulls.
 */

const STOCK: TableSchema = {
  name: 'stock',
  columns: [
    { name: 'id', type: 'integer', source: 'bigint' },
    { name: 'branch', type: 'integer', source: 'integer' },
    { name: 'amount', type: 'integer', source: 'integer' },
    { name: 'note', type: 'text', source: 'text' },
  ],
  key: ['id'],
};

const FILTERS: Filters = {
  stock: { where: [{ column: 'branch', attribute: 'branch', at: '' }], columns: null, indexes: [] },
};

const AT = '2026-11-23T08:00:00.000000Z';
const BRANCHES = 1000;
const TRANSACTIONS = 10_000;
const ROWS = 10;
/** Size of a full batch, bytes. */
const BATCH_BYTES = 2 * 1024 * 1024;

const position = (n: number) => n.toString(16).toUpperCase().padStart(16, '0');
const row = (id: number, branch: number, amount: number): WireRow => [id, branch, amount, `counted by hand, ${amount}`];

function batch(lines: unknown[][]): Buffer {
  const body = lines.map((line) => `${JSON.stringify(line)}\n`).join('');
  const sha256 = createHash('sha256').update(body).digest('hex');
  return Buffer.from(`${body}${JSON.stringify({ lines: lines.length, sha256 })}\n`);
}

/**
 * Builds batches of transactions that insert, update and delete rows. Each transaction affects one of `branches`
 * branches.
 */
function batches(branches: number): { batches: Buffer[]; changes: number } {
  const built: Buffer[] = [];
  let lines: unknown[][] = [];
  let bytes = 0;
  for (let n = 0; n < TRANSACTIONS; n++) {
    const branch = (n * 7919) % branches;
    const first = n * ROWS;
    const rows = Array.from({ length: ROWS }, (_, i) => row(first + i, branch, n));
    const changed = rows.slice(0, 6).map(([id]) => row(Number(id), branch, n + 1));
    const gone = rows.slice(8).map(([id]) => [id]);
    const transaction = [
      ['b', position(n + 10), AT],
      ['i', 1, rows],
      ['u', 1, changed],
      ['d', 1, gone],
      ['c', ROWS + 6 + 2],
    ];
    lines.push(...transaction);
    bytes += JSON.stringify(transaction).length;
    if (bytes < BATCH_BYTES && n < TRANSACTIONS - 1) continue;
    built.push(batch(lines));
    [lines, bytes] = [[], 0];
  }
  return { batches: built, changes: TRANSACTIONS * (ROWS + 6 + 2) };
}

/**
 * Measures ingest with the rows of a thousand branches against the rows of one branch and, for comparison, against no
 * filter.
 */
export async function benchRouting(): Promise<Result[]> {
  const [many, one] = [batches(BRANCHES), batches(1)];
  const rate = async (feed: string, work: ReturnType<typeof batches>) => {
    const relay = await TestRelay.start(feed, { one: { branch: '1' } });
    try {
      await relay.session();
      await relay.baseOf([
        ['s', 1, STOCK],
        ['i', 1, [row(-1, 1, 1)]],
      ]);
      const begin = performance.now();
      for (const each of work.batches) await relay.send(each);
      return work.changes / ((performance.now() - begin) / 1000);
    } finally {
      await relay.stop();
    }
  };
  const filtered = '{ tables: { stock: { where: { branch: $branch } } } }';
  // The first run loads files and compiles code, so it is not measured.
  await rate(filtered, many);
  const against = async (limit: string, peer: () => Promise<number>, reach: number | null): Promise<Result> => {
    const measured = await inTurn(() => rate(filtered, many), peer);
    const ratio = measured.ours / measured.limit;
    return {
      what: `taking changes routed to ${BRANCHES.toLocaleString('en')} scopes, changes/s`,
      ours: thousands(measured.ours),
      limit: `${limit}: ${thousands(measured.limit)}`,
      ratio: ratio.toFixed(2),
      reach: reach === null ? '–' : `≥ ${reach.toFixed(2)}`,
      met: reach === null ? null : ratio >= reach,
    };
  };
  return [
    await against('the same feed with one scope', () => rate(filtered, one), 0.8),
    await against('the same feed without filters', () => rate('{}', many), null),
  ];
}

/** Transactions in one pull. Each has one change. */
const PULLED = 1000;
/** Pulls before the measurement, in which Node compiles the code and SQLite prepares the statements. */
const WARM_UP = 40;

/**
 * Writes a relay's log of `entries` entries in `scopes` scopes. It inserts them with SQL, in the format of ingest,
 * because sending ten million transactions through the relay would take an hour. The newest entries, more than
 * {@link PULLED}, belong to the measured branch.
 */
function makeLog(data: string, entries: number, scopes: number): void {
  mkdirSync(path.join(data, 'shop'), { recursive: true });
  const file = path.join(data, 'shop', 'feed.sqlite');
  const db = openWriter(file, { synchronous: 'normal', cacheMib: 512 });
  const ingest = new Ingest(db, FILTERS);
  ingest.apply(
    batch([
      ['s', 1, STOCK],
      ['B', position(1), AT, 'bench'],
      ['i', 1, [row(-1, 1, 1)]],
      ['c', 1],
    ]),
  );
  // With these sizes a snapshot costs more than the pull.
  const branchOf = (n: string) => `CASE WHEN ${n} > ${entries} - ${2 * PULLED} THEN 1 ELSE ${n} % ${scopes} END`;
  const series = `WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < ${entries})`;
  const rows = `${series}, l AS MATERIALIZED (SELECT n, 'branch=' || ${branchOf('n')} AS scope,
    CAST('["i",1,[[' || n || ',' || ${branchOf('n')} || ',1,"a line of a log"]]]' || char(10) AS BLOB) AS body FROM s)`;
  db.exec(`BEGIN;
    INSERT INTO tidemark_log (n, scope, seq, part, body, changes, ids, committed_at)
      ${rows} SELECT n, scope, n + 1, 1, body, 1, '[1]', '${AT}' FROM l ORDER BY n;
    INSERT INTO tidemark_seq SELECT seq, committed_at, n, n * 50 FROM tidemark_log ORDER BY n;
    INSERT INTO tidemark_transaction SELECT scope, seq, committed_at, 1, length(body), '["stock"]',
      row_number() OVER w, row_number() OVER w, sum(length(body)) OVER w FROM tidemark_log
      WINDOW w AS (PARTITION BY scope ORDER BY seq);
    INSERT INTO tidemark_table_change SELECT scope, 'stock', max(seq), committed_at, count(*), 100000 FROM tidemark_log GROUP BY scope;
    UPDATE tidemark_feed SET head = ${entries + 1}, position = '${position(entries + 10)}';
    COMMIT`);
  db.close();
}

/** Returns how long the relay takes to answer a pull of {@link PULLED} changes, in seconds: one status and one page. */
async function pullCost(entries: number, scopes: number): Promise<number> {
  const folder = temporaryFolder('bench');
  try {
    const config = path.join(folder, 'relay.yaml');
    writeFileSync(
      config,
      'listen: 127.0.0.1:0\ndata: ./data\nfeeds: { shop: { tables: { stock: { where: { branch: $branch } } }, retention: { days: 36000 } } }\n',
    );
    const data = path.join(folder, 'data');
    const tokens = new Tokens(readConfig(config));
    const token = tokens.add({ name: 'one', role: 'terminal', feed: 'shop', attributes: { branch: '1' } }, new Date());
    tokens.close();
    makeLog(data, entries, scopes);
    const relay = await startRelay(readConfig(config), { now: Date.now, log: () => undefined, version: 'bench' });
    try {
      return await answers(relay.url, token, entries + 1);
    } finally {
      await relay.stop();
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function answers(url: string, token: string, head: number): Promise<number> {
  const get = async (route: string) => {
    const answer = await fetch(`${url}/v1/feeds/shop/${route}`, {
      headers: { authorization: `Bearer ${token}`, 'accept-encoding': 'identity' },
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(text);
    return text;
  };
  const first = JSON.parse(await get('status')) as { head: { epoch: string }; plan: { scopes: string } };
  const { epoch } = first.head;
  const durations: number[] = [];
  // Each pull requests another range, so that the cache serves no page.
  for (let n = 0; n < WARM_UP + 20 * RUNS; n++) {
    const to = head - n;
    const from = to - PULLED;
    const begin = performance.now();
    await get(`status?epoch=${epoch}&seq=${head - PULLED}&scopes=${first.plan.scopes}`);
    const page = await get(`pages/${epoch}/${first.plan.scopes}/${from}/${to}`);
    if (n >= WARM_UP) durations.push((performance.now() - begin) / 1000);
    if (!page.includes(`"changes":${PULLED},`)) throw new Error(`the page does not hold ${PULLED} changes`);
  }
  return median(durations);
}

/** Measures a pull of a thousand changes as the log and the number of scopes grow. */
export async function benchFlatness(): Promise<Result[]> {
  const most = Number(process.env.BENCH_LOG ?? 10_000_000);
  const middle = Math.min(most, 1_000_000);
  const logs = [10_000, middle, most];
  const scopes = [10, 1000, 10_000];
  const say = (values: number[], costs: number[]) =>
    values.map((value, i) => `${value.toLocaleString('en')}: ${((costs[i] ?? 0) * 1000).toFixed(1)} ms`).join(', ');
  const flat = (what: string, values: number[], costs: number[]): Result => {
    const ratio = Math.max(...costs) / (costs[0] ?? Number.NaN);
    return {
      what,
      ours: say(values.slice(1), costs.slice(1)),
      limit: say(values.slice(0, 1), costs),
      ratio: ratio.toFixed(2),
      reach: '≤ 1.30',
      met: ratio <= 1.3,
    };
  };
  const byLog: number[] = [];
  for (const entries of logs) byLog.push(await pullCost(entries, 10));
  const byScopes: number[] = [];
  for (const count of scopes) byScopes.push(await pullCost(middle, count));
  return [
    flat(`the relay's answers to a pull of ${PULLED.toLocaleString('en')} changes, by entries of the log`, logs, byLog),
    flat(`the same, by scopes (log of ${middle.toLocaleString('en')} entries)`, scopes, byScopes),
  ];
}
