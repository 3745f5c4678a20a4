import type { SetAside } from '@tidemark/protocol/trouble';
import { type FeedReport, REPORTED_TABLES, type SetAsideReason } from '@tidemark/protocol/trouble';

/**
 * Holds the last report of a feed about itself (F18), and combines it with the marks of the mirror's tables (F17). It
 * keeps the report in memory only: after a restart of the relay, the feed reports again when it opens its session.
 *
 * Details of a report may contain other branches' data (G2). Only {@link Troubles.report} returns them, for
 * administrators. The other members return codes, times, counts, and names of tables.
 */

/** Maximum number of tables that {@link Troubles.byTable} returns, so that metrics stay small. */
const NAMED_TABLES = 100;
/** Maximum number of tables in one event of the relay's log. */
const LOGGED_TABLES = 20;

/** A table of the mirror that is set aside. */
export interface MarkedTable {
  name: string;
  setAside: SetAside;
}

interface TroublesDeps {
  now: () => number;
  /** Returns the mirror's tables that are set aside. Called for each question, so it must be cheap. */
  marked: () => readonly MarkedTable[];
  /** Called with the new report if it differs from the one before in more than details and counts of attempts. */
  onChange: (fields: Record<string, unknown>) => void;
}

export class Troubles {
  readonly #deps: TroublesDeps;
  #last: { report: FeedReport; heardAtMs: number } | null = null;

  constructor(deps: TroublesDeps) {
    this.#deps = deps;
  }

  /** Replaces the feed's earlier report. */
  put(report: FeedReport): void {
    const before = this.#last?.report ?? NOTHING;
    this.#last = { report, heardAtMs: this.#deps.now() };
    if (keyOf(before) !== keyOf(report)) this.#deps.onChange(eventOf(report));
  }

  /** The feed's last report with its details, for administrators only. Null before the first. */
  get report(): { report: FeedReport; heardAtMs: number } | null {
    return this.#last;
  }

  /** The fault that keeps the feed from making progress, without its detail. */
  get fault(): Pick<NonNullable<FeedReport['fault']>, 'code' | 'since'> | null {
    const fault = this.#last?.report.fault ?? null;
    return fault && { code: fault.code, since: fault.since };
  }

  /** Number of tables that do not follow the master. Counts each table once. */
  get count(): number {
    const { tables, more } = this.#last?.report ?? NOTHING;
    const names = new Set(tables.map(({ table }) => table));
    const marked = this.#deps.marked();
    const unnamed = marked.filter(({ name }) => !names.has(name)).length;
    // The tables for which a report has no room may be among the marked ones.
    return names.size + Math.max(more, unnamed);
  }

  /** The reason of each table that does not follow the master, by name. At most {@link NAMED_TABLES}. */
  byTable(): [table: string, reason: SetAsideReason][] {
    const reasons = new Map(this.#deps.marked().map(({ name, setAside }) => [name, setAside.reason]));
    for (const { table, reason } of this.#last?.report.tables ?? []) reasons.set(table, reason);
    return [...reasons].sort(([a], [b]) => (a < b ? -1 : 1)).slice(0, NAMED_TABLES);
  }
}

const NOTHING: FeedReport = { fault: null, tables: [], more: 0 };

/** Returns a text that changes when a report says something new. */
function keyOf({ fault, tables, more }: FeedReport): string {
  return JSON.stringify([fault?.code ?? null, tables.map(({ table, reason, held }) => [table, reason, held]), more]);
}

/** Returns the fields of the relay's log for a report. */
function eventOf({ fault, tables, more }: FeedReport): Record<string, unknown> {
  return {
    fault: fault?.code ?? null,
    ...(fault ? { detail: fault.detail, since: new Date(fault.since).toISOString() } : {}),
    tables: tables.slice(0, LOGGED_TABLES).map(({ table, reason }) => `${table}: ${reason}`),
    more: more + Math.max(0, tables.length - LOGGED_TABLES),
  };
}

/** Whether a parsed body lists more tables than a report may. Checked first, because parsing each entry costs more. */
export function listsTooMany(body: unknown): boolean {
  const tables = typeof body === 'object' && body !== null && 'tables' in body ? body.tables : null;
  return Array.isArray(tables) && tables.length > REPORTED_TABLES;
}
