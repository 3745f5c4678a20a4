import { TidemarkError } from '@tidemark/protocol/errors';
import type { Log, NumberedTable, Source, SourceTable, WantedTables } from '../source.ts';
import type { RelayTables, RereadPlan } from './reread-plan.ts';

/** Looking takes at most this part of the master's time. */
const SHARE = 1 / 50;

export interface TableWatchDeps {
  source: Source;
  listed: WantedTables['listed'];
  log: Log;
  plan(tables: readonly SourceTable[], relay: RelayTables): RereadPlan;
  /** Called with tables that need no re-read although they look different. */
  refresh(tables: SourceTable[]): Promise<void>;
}

/**
 * Finds altered tables while the log is streamed. The log shows an alteration only with the next change of a row, which
 * may never come, so each heartbeat looks at the catalogue.
 */
export class TableWatch {
  readonly #deps: TableWatchDeps;
  readonly #tables: readonly NumberedTable[];
  #mark: string;
  /** When the next look may begin, by performance.now(). */
  #due = 0;
  #unready = false;

  /** `mark`: the catalogue mark before `tables` were described. */
  constructor(deps: TableWatchDeps, tables: readonly NumberedTable[], mark: string) {
    this.#deps = deps;
    this.#tables = tables;
    this.#mark = mark;
  }

  /** Whether tables must be re-read or published. Throws source_not_ready when two looks in a row find a prerequisite missing. */
  async look(): Promise<boolean> {
    const { source, log, plan, refresh } = this.#deps;
    const began = performance.now();
    if (began < this.#due) return false;
    const mark = await source.catalogMark();
    const ended = performance.now();
    this.#due = ended + (ended - began) / SHARE;
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

  /** The tables to publish; null when the next look has to decide. */
  async #describe(): Promise<SourceTable[] | null> {
    const { source, listed, log } = this.#deps;
    try {
      const held = new Set(this.#tables.map(({ table }) => table.schema.name));
      const { tables, leftOut } = await source.describe({ listed, held });
      if (leftOut.length > 0) log('not-ready', { detail: leftOut.join('\n') });
      this.#unready = false;
      return tables;
    } catch (error) {
      // A table may lose its key to get another one a moment later.
      const isFirst = error instanceof TidemarkError && error.code === 'source_not_ready' && !this.#unready;
      if (!isFirst) throw error;
      this.#unready = true;
      return null;
    }
  }
}
