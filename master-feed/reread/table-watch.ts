import { TidemarkError } from '@tidemark/protocol/errors';
import type { DescribedTables, Log, NumberedTable, Source, SourceTable, WantedTables } from '../source.ts';
import type { ChosenTables } from '../troubles/table-troubles.ts';
import type { RelayTables, RereadPlan } from './reread-plan.ts';

/** Checks take at most this fraction of the time. */
const MAX_TIME_SHARE = 1 / 50;

export interface TableWatchDeps {
  source: Source;
  wanted: WantedTables;
  log: Log;
  /** Ids of the tables in trouble when the session began. */
  ignored: ReadonlySet<number>;
  choose(described: DescribedTables): ChosenTables;
  /** Whether the feed should try a table in trouble again now. */
  isDue(): boolean;
  plan(chosen: ChosenTables, relay: RelayTables): RereadPlan;
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
    const { source, log, ignored, plan, refresh, isDue } = this.#deps;
    const began = performance.now();
    if (began < this.#due) return false;
    const mark = await source.catalogMark();
    const ended = performance.now();
    this.#due = ended + (ended - began) / MAX_TIME_SHARE;
    if (mark === this.#mark && !isDue()) return false;
    const chosen = await this.#describe();
    if (chosen === null) return false;
    const tables = this.#tables.map(({ number, table }) => ({ id: number, schema: table.schema }));
    const { kept, loads, gone, marks } = plan(chosen, { tables, nextTableId: 1 });
    const isOtherTrouble = chosen.ignored.size !== ignored.size || [...ignored].some((id) => !chosen.ignored.has(id));
    if (
      loads.length > 0 ||
      gone.length > 0 ||
      marks.length > 0 ||
      isOtherTrouble ||
      !(await source.isPublished(chosen.tables))
    ) {
      const names = [
        ...loads.map(({ table }) => table.schema.name),
        ...gone,
        ...marks.map(({ schema }) => schema.name),
      ];
      log('altered', { tables: names });
      return true;
    }
    this.#mark = mark;
    await refresh(kept.map(({ table }) => table));
    return false;
  }

  /** Returns the tables to follow, or null if only the next check can decide. */
  async #describe(): Promise<ChosenTables | null> {
    const { source, wanted: session, choose } = this.#deps;
    try {
      const held = new Set(this.#tables.map(({ table }) => table.schema.name));
      const wanted = { ...session, held };
      const chosen = choose(await source.describe(wanted));
      // A table may lose its key only for a moment, until a statement adds another one.
      const isFirst = chosen.troubles.some(({ table }) => held.has(table)) && !this.#unready;
      this.#unready = isFirst;
      return isFirst ? null : chosen;
    } catch (error) {
      const isFirst = error instanceof TidemarkError && error.code === 'source_not_ready' && !this.#unready;
      if (!isFirst) throw error;
      this.#unready = true;
      return null;
    }
  }
}
