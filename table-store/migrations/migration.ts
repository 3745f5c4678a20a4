import type { OwnTable } from '../own-tables.ts';
import type { Writer } from '../sqlite.ts';

/**
 * Migrations of a replica's own tables, one numbered file for each format since the first.
 *
 * They run in order, in one transaction, on every file that is not in the current format. Each must be idempotent and
 * must decide by looking at the tables: a replica that was dumped and restored has lost its version number. A migration
 * never reads or writes rows of the feed, and once released it never changes. `samples/` has a file of every released
 * format, which the tests open.
 *
 * To add a migration: write the next numbered file, list it in `MIGRATIONS` and raise `FORMAT_VERSION` in `format.ts`, and
 * add a sample of the new format.
 */
export interface Migration {
  /** The format that it leads to. */
  format: number;
  /** Columns that it adds, which a reader of an older file has to do without. */
  adds: { table: OwnTable; columns: readonly string[] };
  up(db: Writer): void;
}
