import type { OwnTable } from '../own-tables.ts';
import type { Writer } from '../sqlite.ts';

/**
 * Migrations of a replica's own tables, one numbered file for each format after the first.
 *
 * They run in order, in one transaction, on every file that is not in the current format. Each must be idempotent and
 * must inspect the tables rather than trust the version number, which a dump and restore removes. A migration never
 * reads or writes rows of the feed, and never changes after its release. The tests open `samples/`, which has a file of
 * every released format.
 *
 * To add a migration, write the next numbered file, add it to `MIGRATIONS` and raise `FORMAT_VERSION` in format.ts, and
 * add a sample of the new format.
 */
export interface Migration {
  /** The format after the migration. */
  format: number;
  /** The added columns. A reader of an older file must work without them. */
  adds: { table: OwnTable; columns: readonly string[] };
  up(db: Writer): void;
}
