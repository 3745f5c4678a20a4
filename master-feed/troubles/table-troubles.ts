import type { SessionAnswer } from '@tidemark/protocol/api';
import type { DescribedTables, KnownTable, SourceTable, SourceTrouble, TableFault } from '../source.ts';

/**
 * Remembers which tables cannot be followed, and decides which tables a session follows (F17).
 *
 * A table is in trouble for one of two reasons. The master's description may contain a problem, which each session and
 * each check of the catalogue finds. Or the feed failed to read its rows. This module remembers such a failure, and the
 * feed tries the table again after a wait that doubles with each failure, or as soon as its description changes. After a
 * restart, the feed tries every table.
 */

/** The wait after the first failure of a table, and the longest one, in ms. */
const FIRST_WAIT_MS = Number(process.env.TIDEMARK_TABLE_RETRY_MS ?? 60_000);
const LONGEST_WAIT_MS = 60 * 60_000;

interface Failure {
  trouble: SourceTrouble;
  /** The table's description when it failed. A different one is a reason to try again. Null: not known yet. */
  description: string | null;
  waitMs: number;
  /** Infinite until a session follows the other tables, so that the mark precedes the next try. */
  retryAtMs: number;
}

/** The relay's tables, from its answer to a session. */
type RelayTable = SessionAnswer['tables'][number];

/** The tables that a session follows, and the ones that it does not. */
export interface ChosenTables {
  /** The tables to follow. */
  tables: SourceTable[];
  troubles: SourceTrouble[];
  /** Ids of the tables in trouble, which the log may still contain. */
  ignored: ReadonlySet<number>;
}

export class TableTroubles {
  readonly #now: () => number;
  readonly #failures = new Map<number, Failure>();

  /** Ids of the master's tables by name, as last described. */
  ids: ReadonlyMap<string, number> = new Map();
  /** Ids of the tables in trouble, as last chosen. */
  ignored: ReadonlySet<number> = new Set();

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Remembers that reading a table failed. */
  add({ trouble }: TableFault): void {
    if (trouble.id === null) return;
    const before = this.#failures.get(trouble.id);
    const waitMs = before ? Math.min(2 * before.waitMs, LONGEST_WAIT_MS) : FIRST_WAIT_MS;
    this.#failures.set(trouble.id, { trouble, description: null, waitMs, retryAtMs: Number.POSITIVE_INFINITY });
    this.ignored = new Set([...this.ignored, trouble.id]);
  }

  /** Starts the waits of failed tables. Called when a session streams the other tables. */
  startWaits(): void {
    for (const failure of this.#failures.values())
      if (failure.retryAtMs === Number.POSITIVE_INFINITY) failure.retryAtMs = this.#now() + failure.waitMs;
  }

  /** Forgets the failures of tables whose rows have now been read. */
  settle(tables: readonly SourceTable[]): void {
    for (const { id } of tables) this.#failures.delete(id);
  }

  /** Whether the feed should try a failed table again now. */
  get isDue(): boolean {
    return [...this.#failures.values()].some(({ retryAtMs }) => retryAtMs <= this.#now());
  }

  /**
   * Returns the troubles of the chosen tables that failed before and whose rows have not been read since. The feed tries
   * these tables again, and they stay in trouble until it succeeds.
   */
  retried({ tables }: ChosenTables): SourceTrouble[] {
    return tables.flatMap(({ id }) => this.#failures.get(id)?.trouble ?? []);
  }

  /** Chooses the tables to follow from a description of the master's tables. */
  choose({ tables, troubles }: DescribedTables): ChosenTables {
    const waiting = tables.flatMap((table) => {
      const failure = this.#failures.get(table.id);
      return failure && this.#mustWait(failure, table) ? [failure.trouble] : [];
    });
    const described = new Set([...tables, ...troubles].map(({ id }) => id));
    for (const id of this.#failures.keys()) if (!described.has(id)) this.#failures.delete(id);
    const all = [...troubles, ...waiting];
    const ignored = new Set(all.flatMap(({ id }) => (id === null ? [] : [id])));
    this.ids = new Map(tables.map(({ id, schema }) => [schema.name, id]));
    this.ignored = ignored;
    return { tables: tables.filter(({ id }) => !ignored.has(id)), troubles: all, ignored };
  }

  /**
   * Ignores the table's version, which also changes when the feed removes the table from the publication.
   */
  #mustWait(failure: Failure, { schema, columnIds }: SourceTable): boolean {
    const description = JSON.stringify([schema, columnIds]);
    failure.description ??= description;
    return failure.description === description && this.#now() < failure.retryAtMs;
  }
}

/** Returns the chosen tables without those that have failed since. */
export function setAside(chosen: ChosenTables, faults: readonly TableFault[]): ChosenTables {
  const troubles = faults.map(({ trouble }) => trouble);
  const ids = new Set(troubles.flatMap(({ id }) => id ?? []));
  return {
    tables: chosen.tables.filter(({ id }) => !ids.has(id)),
    troubles: [...chosen.troubles, ...troubles],
    ignored: new Set([...chosen.ignored, ...ids]),
  };
}

/**
 * Returns the relay's tables that are in trouble, each with its trouble. They keep their rows and carry a mark. `known`
 * names the relay's table of a table that was renamed at the master while it was set aside.
 */
export function asideAtRelay(
  tables: readonly RelayTable[],
  troubles: readonly SourceTrouble[],
  known: readonly Pick<KnownTable, 'id' | 'name'>[],
): (RelayTable & { trouble: SourceTrouble })[] {
  const names = new Map(known.map(({ id, name }) => [id, name]));
  const byName = new Map(
    troubles.map((trouble) => [(trouble.id === null ? undefined : names.get(trouble.id)) ?? trouble.table, trouble]),
  );
  return tables.flatMap((table) => {
    const trouble = byName.get(table.schema.name);
    return trouble ? [{ ...table, trouble }] : [];
  });
}
