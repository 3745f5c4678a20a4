import { TidemarkError } from '@tidemark/protocol/errors';
import type pg from 'pg';
import type { Log } from '../source.ts';
import { readFingerprint, type SourceTable } from './catalog.ts';
import { checkMaster, type Listed } from './prerequisites.ts';
import { publishes, readPublication } from './publication.ts';
import type { Numbered, ResyncPlan, Standing } from './resync-plan.ts';

/** Of the master's time at most this part goes into looking. */
const LOOKING = 1 / 50;

export interface TableWatchDeps {
  client: pg.Client;
  publication: string;
  /** What relay.yaml lists; null: all. */
  listed: readonly Listed[] | null;
  log: Log;
  plan(tables: SourceTable[], relay: Pick<Standing, 'relay' | 'nextTableId'>): ResyncPlan;
  /** Told how the tables look now that need not be read anew though the catalogue changed. */
  refresh(tables: SourceTable[]): Promise<void>;
}

/** Finds, while the stream flows, tables of the master that are to be read anew though no row of them may come. */
export class TableWatch {
  readonly #deps: TableWatchDeps;
  readonly #tables: readonly Numbered[];
  #seen: string;
  #due = 0;
  #unready = false;

  /** `seen`: the catalogue's fingerprint before `tables` were read. */
  constructor(deps: TableWatchDeps, tables: readonly Numbered[], seen: string) {
    this.#deps = deps;
    this.#tables = tables;
    this.#seen = seen;
  }

  /** Whether there are such tables. Throws source_not_ready when one can no longer be published, and not for a moment only. */
  async look(): Promise<boolean> {
    const { client, publication, log } = this.#deps;
    const began = performance.now();
    if (began < this.#due) return false;
    const fingerprint = await readFingerprint(client);
    const ended = performance.now();
    this.#due = ended + (ended - began) / LOOKING;
    if (fingerprint === this.#seen) return false;
    const found = await this.#find();
    if (found === null) return false;
    const relay = this.#tables.map(({ id, table }) => ({ id, schema: table.schema }));
    const { kept, loads, gone } = this.#deps.plan(found, { relay, nextTableId: 1 });
    if (loads.length > 0 || gone.length > 0 || !publishes(await readPublication(client, publication), found)) {
      log('altered', { tables: [...loads.map(({ table }) => table.name), ...gone] });
      return true;
    }
    this.#seen = fingerprint;
    await this.#deps.refresh(kept.map(({ table }) => table));
    return false;
  }

  /** The tables to publish; null when that is to be seen the next time. */
  async #find(): Promise<SourceTable[] | null> {
    const { client, listed, publication, log } = this.#deps;
    try {
      const { tables, leftOut } = await checkMaster(
        client,
        listed,
        publication,
        new Set(this.#tables.map(({ table }) => table.name)),
      );
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
