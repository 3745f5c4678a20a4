import { type Run, RunJson } from '@tidemark/protocol/run';
import { TimeText } from '@tidemark/protocol/time';
import { INTEGER, query, row, UNKNOWN, value } from '@tidemark/table-store/query';
import { prepared, type Reader, type Writer } from '@tidemark/table-store/sqlite';
import { type StatusRow, saveStatusRow } from './status-row.ts';

/**
 * The terminal's history in its replica: past runs, lag samples, and its status.
 *
 * Recording new runs and samples deletes old ones. Rows that another program damaged are skipped: a history must never
 * keep a terminal from pulling.
 */

/** Number of runs to keep. */
const KEEP_RUNS = 2000;
const KEEP_SAMPLES_MS = 8 * 24 * 3_600_000;

/** One point of the lag chart. Null: unknown at that time. */
export interface LagSample {
  /** Time of the sample, ms since 1970. */
  at: number;
  /** Changes that were waiting at the relay. */
  waiting: number | null;
  /** Age of the data on this PC, ms. */
  lagMs: number | null;
  /** Age of the data at the relay, ms. */
  sourceLagMs: number | null;
}

/** Whether a run reached its target. A check never counts, because it brings no data. */
export const succeeded = (run: Run): boolean =>
  run.mode !== 'check' && (run.outcome === 'done' || run.outcome === 'nothing-new');

/** The last run, and the last one that succeeded. Null when the history has none. */
export function lastRuns(db: Reader | Writer): { lastRun: Run | null; lastSuccess: Run | null } {
  const stored = query(db, 'SELECT run FROM tidemark_run ORDER BY started_at DESC', value(UNKNOWN));
  let lastRun: Run | null = null;
  for (const json of stored.iterate()) {
    const run = parseRun(json);
    if (run === null) continue;
    lastRun ??= run;
    if (succeeded(run)) return { lastRun, lastSuccess: run };
  }
  return { lastRun, lastSuccess: null };
}

/** Parses a stored run. Null when it is damaged. */
function parseRun(stored: unknown): Run | null {
  let json: unknown;
  try {
    json = JSON.parse(String(stored));
  } catch {
    return null;
  }
  const run = RunJson.safeParse(json);
  return run.success ? run.data : null;
}

/** Returns a stored number. Any other value is damaged and counts as unknown. */
const numberOrNull = (stored: unknown) => (typeof stored === 'number' ? stored : null);

const SAMPLE = row({ at: INTEGER, waiting: UNKNOWN, lagMs: UNKNOWN, sourceLagMs: UNKNOWN });

/** Records and reads the history. Only the replica's writer has one. */
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

  /** Returns runs, newest first. `before`: the `startedAt` of the last run on the previous page. */
  runs(before: number | null, limit: number): Run[] {
    const stored = query(
      this.#db,
      'SELECT run FROM tidemark_run WHERE started_at < ? ORDER BY started_at DESC LIMIT ?',
      value(UNKNOWN),
    ).all(before === null ? '9999' : TimeText.encode(before), limit);
    return stored.map(parseRun).filter((run) => run !== null);
  }

  recordSample(sample: LagSample): void {
    prepared(
      this.#db,
      'INSERT OR REPLACE INTO tidemark_sample (at, waiting, lag_ms, source_lag_ms) VALUES (?, ?, ?, ?)',
    ).run(Math.round(sample.at), sample.waiting, sample.lagMs, sample.sourceLagMs);
    prepared(this.#db, 'DELETE FROM tidemark_sample WHERE at < ?').run(Math.round(sample.at) - KEEP_SAMPLES_MS);
  }

  /** Returns the samples since a time, oldest first, thinned to at most `most` points. */
  samples(sinceMs: number, most = 2000): LagSample[] {
    const rows = query(
      this.#db,
      'SELECT at, waiting, lag_ms AS lagMs, source_lag_ms AS sourceLagMs FROM tidemark_sample WHERE at >= ? ORDER BY at',
      SAMPLE,
    ).all(sinceMs);
    const step = Math.ceil(rows.length / most);
    const thinned = step <= 1 ? rows : rows.filter((_, i) => i % step === 0 || i === rows.length - 1);
    return thinned.map(({ at, waiting, lagMs, sourceLagMs }) => ({
      at,
      waiting: numberOrNull(waiting),
      lagMs: numberOrNull(lagMs),
      sourceLagMs: numberOrNull(sourceLagMs),
    }));
  }

  /** Writes the columns of `tidemark_status` that describe the terminal. */
  setStatus(status: StatusRow): void {
    saveStatusRow(this.#db, status);
  }
}
