import { type Run, RunJson } from '@tidemark/protocol/run';
import { TimeText } from '@tidemark/protocol/time';
import { prepared, type Reader, type Writer } from '@tidemark/table-store/sqlite';

const KEEP_RUNS = 2000;
const KEEP_SAMPLES_MS = 8 * 24 * 3_600_000;

/** One point of the lag chart. Null: not known then. */
export interface LagSample {
  /** ms since 1970. */
  at: number;
  waiting: number | null;
  lagMs: number | null;
  sourceLagMs: number | null;
}

/** What a report on this PC can read in `tidemark_status`, besides the cursor. */
export interface StatusRow {
  checkedAt: number | null;
  syncedAt: number | null;
  headSeq: number | null;
  waiting: number | null;
  code: string;
  headline: string;
}

/** Whether a run left the replica where it wanted to be. A check, whatever it found, brought nothing. */
export const succeeded = (run: Run): boolean =>
  run.mode !== 'check' && (run.outcome === 'done' || run.outcome === 'nothing-new');

/** The last run of all, and the last one that ended well; null: none among the kept ones. */
export function lastRuns(db: Reader | Writer): { lastRun: Run | null; lastSuccess: Run | null } {
  const rows = prepared(db, 'SELECT run FROM tidemark_run ORDER BY started_at DESC').iterate() as Iterable<RunRow>;
  let lastRun: Run | null = null;
  for (const row of rows) {
    const run = readRun(row);
    if (run === null) continue;
    lastRun ??= run;
    if (succeeded(run)) return { lastRun, lastSuccess: run };
  }
  return { lastRun, lastSuccess: null };
}

interface RunRow {
  run: unknown;
}

/** A run as it was written; null when another program spoilt it, which must not keep the others from being read. */
function readRun({ run }: RunRow): Run | null {
  const read = RunJson.safeParse(jsonOrNull(run));
  return read.success ? read.data : null;
}

function jsonOrNull(text: unknown): unknown {
  try {
    return JSON.parse(String(text));
  } catch {
    // Not JSON is no run: the schema refuses it.
    return null;
  }
}

const textOrNull = (time: number | null): string | null => (time === null ? null : TimeText.encode(time));

const numberOrNull = (value: unknown) => (typeof value === 'number' ? value : null);

/** Past runs, lag samples and the status row, in the replica's own file. */
export class History {
  readonly #db: Writer;

  constructor(db: Writer) {
    this.#db = db;
  }

  recordRun(run: Run): void {
    prepared(this.#db, 'INSERT OR REPLACE INTO tidemark_run (id, started_at, run) VALUES (?, ?, ?)').run(
      run.id,
      TimeText.encode(run.startedAt),
      JSON.stringify(RunJson.encode(run)),
    );
    prepared(
      this.#db,
      'DELETE FROM tidemark_run WHERE started_at < (SELECT started_at FROM tidemark_run ORDER BY started_at DESC LIMIT 1 OFFSET ?)',
    ).run(KEEP_RUNS);
  }

  /** Newest first; `before` is the `startedAt` of the last one of the page before. */
  runs(before: number | null, limit: number): Run[] {
    const rows = prepared(
      this.#db,
      'SELECT run FROM tidemark_run WHERE started_at < ? ORDER BY started_at DESC LIMIT ?',
    ).all(before === null ? '9999' : TimeText.encode(before), limit) as RunRow[];
    return rows.map(readRun).filter((run) => run !== null);
  }

  recordSample(sample: LagSample): void {
    prepared(
      this.#db,
      'INSERT OR REPLACE INTO tidemark_sample (at, waiting, lag_ms, source_lag_ms) VALUES (?, ?, ?, ?)',
    ).run(Math.round(sample.at), sample.waiting, sample.lagMs, sample.sourceLagMs);
    prepared(this.#db, 'DELETE FROM tidemark_sample WHERE at < ?').run(Math.round(sample.at) - KEEP_SAMPLES_MS);
  }

  /** Oldest first, thinned to at most `most` points. */
  samples(sinceMs: number, most = 2000): LagSample[] {
    const rows = prepared(
      this.#db,
      'SELECT at, waiting, lag_ms AS lagMs, source_lag_ms AS sourceLagMs FROM tidemark_sample WHERE at >= ? ORDER BY at',
    ).all(sinceMs) as Record<keyof LagSample, unknown>[];
    const step = Math.ceil(rows.length / most);
    const thinned = step <= 1 ? rows : rows.filter((_, i) => i % step === 0 || i === rows.length - 1);
    return thinned.map(({ at, waiting, lagMs, sourceLagMs }) => ({
      at: Number(at),
      waiting: numberOrNull(waiting),
      lagMs: numberOrNull(lagMs),
      sourceLagMs: numberOrNull(sourceLagMs),
    }));
  }

  setStatus(row: StatusRow): void {
    prepared(
      this.#db,
      `INSERT INTO tidemark_status (one, feed, epoch, seq, committed_at, checked_at, synced_at, head_seq, waiting, code, headline)
         SELECT 1, feed, epoch, seq, committed_at, @checkedAt, @syncedAt, @headSeq, @waiting, @code, @headline FROM tidemark_meta WHERE true
         ON CONFLICT (one) DO UPDATE SET epoch = excluded.epoch, seq = excluded.seq, committed_at = excluded.committed_at,
           checked_at = excluded.checked_at, synced_at = excluded.synced_at, head_seq = excluded.head_seq,
           waiting = excluded.waiting, code = excluded.code, headline = excluded.headline`,
    ).run({ ...row, checkedAt: textOrNull(row.checkedAt), syncedAt: textOrNull(row.syncedAt) });
  }
}
