import type { KnownTable, Log, Source } from './source.ts';
import type { TableTroubles } from './troubles/table-troubles.ts';

/**
 * The descriptions of the tables that the relay holds. The master also stores them, so that they survive a restart of
 * the feed.
 */
export class RememberedTables {
  readonly #source: Source;
  readonly #troubles: TableTroubles;
  readonly #log: Log;
  /** Null if the descriptions are unknown. */
  all: KnownTable[] | null = null;

  constructor(source: Source, troubles: TableTroubles, log: Log) {
    this.#source = source;
    this.#troubles = troubles;
    this.#log = log;
  }

  async recall(): Promise<void> {
    this.all = (await this.#source.recall()) ?? this.all;
  }

  /**
   * Replaces the descriptions. Keeps those of the tables that are set aside, and takes them from `before` too: their
   * names must survive a rename at the master, because the relay keeps the old name.
   */
  async remember(tables: KnownTable[], before: readonly KnownTable[] = []): Promise<void> {
    const known = new Map(
      [...before, ...(this.all ?? [])]
        .filter(({ id }) => this.#troubles.ignored.has(id))
        .map((table) => [table.id, table]),
    );
    for (const table of tables) known.set(table.id, table);
    this.all = [...known.values()];
    if (!(await this.#source.remember(this.all)))
      this.#log('state-not-stored', {
        why: 'the master does not allow it: each start of the feed re-reads all tables',
      });
  }
}
