import { existsSync } from 'node:fs';
import { TidemarkError } from '@tidemark/protocol/errors';
import type { WireRow } from '@tidemark/protocol/lines';
import type { FeedTable } from '@tidemark/table-store/feed-tables';
import { toWire } from '@tidemark/table-store/row-statements';
import { ident, openReader, prepared, transaction, type Writer } from '@tidemark/table-store/sqlite';
import { clearLog } from '../log/log-format.ts';
import { EVERYONE_SCOPE, type Filters, fingerprint, type Router } from '../routing/filters.ts';
import { indexScopes, Routers } from './routed-writer.ts';

/** Writes down how many rows of each table each scope has, as of `seq`. */
export function countRows(db: Writer, tables: FeedTable[], routers: Routers, seq: number, committedAt: string): void {
  const add = prepared(db, 'INSERT OR REPLACE INTO tidemark_table_change VALUES (?, ?, ?, ?, 0, ?)');
  for (const { id, schema, rows } of tables) {
    const router = routers.of(id);
    for (const [scope, count] of countByScope(db, router, schema.name, schema.columns, rows))
      add.run(scope, schema.name, seq, committedAt, count);
  }
}

function countByScope(
  db: Writer,
  router: Router,
  table: string,
  columns: { name: string }[],
  all: number,
): Map<string, number> {
  const counts = new Map([[EVERYONE_SCOPE, 0]]);
  const deciding = [...router.columns];
  if (deciding.length === 0) return counts.set(EVERYONE_SCOPE, all);
  indexScopes(db, router, table);
  const names = deciding.map(ident).join(', ');
  const groups = db
    .prepare(`SELECT count(*), ${names} FROM ${ident(table)} GROUP BY ${names}`)
    .safeIntegers()
    .raw();
  for (const [count, ...values] of groups.iterate() as Iterable<unknown[]>) {
    const known = new Map(deciding.map((name, at) => [name, toWire(values[at])]));
    const row: WireRow = columns.map(({ name }) => known.get(name) ?? null);
    const scope = router.scopeOf(row);
    if (scope !== null) counts.set(scope, (counts.get(scope) ?? 0) + Number(count));
  }
  return counts;
}

/** Whether the log of a feed's store was routed by these filters. Throws db_*. */
export function isRoutedBy(file: string, filters: Filters): boolean {
  if (!existsSync(file)) return false;
  const db = openReader(file);
  try {
    const kept = db.prepare("SELECT 1 FROM pragma_table_info('tidemark_feed') WHERE name = 'filters'").get();
    return kept !== undefined && db.prepare('SELECT filters FROM tidemark_feed').pluck().get() === fingerprint(filters);
  } finally {
    db.close();
  }
}

/**
 * Makes the filters those of the log. When they are others than before, the increments go: they were routed by those, and
 * terminals are brought to their new rows by the difference. Throws config_invalid when a filter does not fit its table.
 */
export function takeFilters(db: Writer, filters: Filters, tables: FeedTable[]): void {
  const print = fingerprint(filters);
  const feed = prepared(db, 'SELECT head, committed_at AS committedAt, filters FROM tidemark_feed').get() as {
    head: number;
    committedAt: string | null;
    filters: string | null;
  };
  const routers = new Routers(filters);
  try {
    for (const { id, schema } of tables) routers.bind(id, schema);
  } catch (error) {
    if (!(error instanceof TidemarkError) || error.code !== 'filter_invalid') throw error;
    throw new TidemarkError('config_invalid', { detail: String(error.params.detail) }, error);
  }
  if (feed.filters === print) return;
  transaction(db, () => {
    const indexes = db
      .prepare("SELECT name FROM sqlite_schema WHERE type = 'index' AND name LIKE 'tidemark\\_scope\\_%' ESCAPE '\\'")
      .pluck()
      .all() as string[];
    for (const name of indexes) db.exec(`DROP INDEX ${ident(name)}`);
    clearLog(db);
    if (feed.committedAt !== null) countRows(db, tables, routers, feed.head, feed.committedAt);
    prepared(db, 'UPDATE tidemark_feed SET filters = ?').run(print);
  });
}
