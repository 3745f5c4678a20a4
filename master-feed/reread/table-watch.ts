import { TidemarkError } from '@tidemark/protocol/errors';
import { logTroubles, refuseHeld } from '../session-step.ts';
import type { Log, NumberedTable, Source, SourceTable, WantedTables } from '../source.ts';
import type { RelayTables, RereadPlan } from './reread-plan.ts';

/** Checks take at most this fraction of the time. */
const MAX_TIME_SHARE = 1 / 50;

export interface TableWatchDeps {
  source: Source;
  wanted: WantedTables;
  log: Log;
  plan(tables: readonly SourceTable[], relay: RelayTables): RereadPlan;
  /** Called with tables that look different but need no re-read. */
  refresh(tables: SourceTable[]): Promise<void>;
}

/**
 * Detects altered tables while the log is streamed. The log shows an alteration only with the next change of a row,
 * which may never happen. So the feed checks the catalogue with each heartbeat.
 */
export class TableWatch {
  readonly #deps: TableWatchDeps;
  readonly #tables: readonly NumberedTable[];
  #mark: string;
  /** When the next check may begin, on the clock of performance.now(). */
  #due = 0;
  #unready = false;

  /** `mark` is the catalogue mark from before `tables` were described. */
  constructor(deps: TableWatchDeps, tables: readonly NumberedTable[], mark: string) {
    this.#deps = deps;
    this.#tables = tables;
    this.#mark = mark;
  }

  /**
   * Checks the catalogue. Returns whether tables must be re-read or published. Throws source_not_ready if a
   * prerequisite is missing in two consecutive checks.
   */
  async look(): Promise<boolean> {
    const { source, log, plan, refresh } = this.#deps;
    const began = performance.now();
    if (began < this.#due) return false;
    const mark = await source.catalogMark();
    const ended = performance.now();
    this.#due = ended + (ended - began) / MAX_TIME_SHARE;
    if (mark === this.#mark) return false;
    const found = await this.#describe();
    if (found === null) return false;
    const tables = this.#tables.map(({ number, table }) => ({ id: number, schema: table.schema }));
    const { kept, loads, gone } = plan(found, { tables, nextTableId: 1 });
    if (loads.length > 0 || gone.length > 0 || !(await source.isPublished(found))) {
      log('altered', { tables: [...loads.map(({ table }) => table.schema.name), ...gone] });
      return true;
    }
    this.#mark = mark;
    await refresh(kept.map(({ table }) => table));
    return false;
  }

  /** Returns the tables to publish, or null if only the next check can decide. */
  async #describe(): Promise<SourceTable[] | null> {
    const { source, wanted: session, log } = this.#deps;
    try {
      const held = new Set(this.#tables.map(({ table }) => table.schema.name));
      const wanted = { ...session, held };
      const described = await source.describe(wanted);
      refuseHeld(described, wanted);
      logTroubles(described, log);
      this.#unready = false;
      return described.tables;
    } catch (error) {
      // A table may lose its key only for a moment, until a statement adds another one.
      const isFirst = error instanceof TidemarkError && error.code === 'source_not_ready' && !this.#unready;
      if (!isFirst) throw error;
      this.#unready = true;
      return null;
    }
  }
}
