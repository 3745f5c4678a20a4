import { existsSync } from 'node:fs';
import { TidemarkError } from '@tidemark/protocol/errors';
import type { WireRow } from '@tidemark/protocol/lines';
import type { FeedTable } from '@tidemark/table-store/feed-tables';
import { exists, orNull, ownQuery, query, RAW_ROW, row, SEQ, TEXT, value } from '@tidemark/table-store/query';
import { toWire } from '@tidemark/table-store/row-statements';
import { ident, openReader, prepared, transaction, type Writer } from '@tidemark/table-store/sqlite';
import { clearLog } from '../log/log-format.ts';
import { EVERYONE_SCOPE, type Filters, fingerprint } from '../routing/filters.ts';
import type { Router } from '../routing/router.ts';
import { Routers } from '../routing/routers.ts';
import { indexScopes } from './routed-writer.ts';

/**
 * Records by which filters the store was routed, and how many rows of each table each scope has. It counts whenever
 * the log begins: at the first base, with other filters, and with a new epoch. The log's running totals continue from there.
 */

const FEED = row({ head: SEQ, committedAt: orNull(TEXT), filters: orNull(TEXT) });

/** Counts each table's rows by scope, as of `seq`. Works inside the caller's transaction. */
export function countRows(db: Writer, tables: FeedTable[], routers: Routers, seq: number, committedAt: string): void {
  const add = prepared(db, 'INSERT OR REPLACE INTO tidemark_table_change VALUES (?, ?, ?, ?, 0, ?)');
  for (const { id, schema, rows } of tables) {
    const router = routers.of(id);
    for (const [scope, count] of countByScope(db, router, schema.name, schema.columns, rows))
      add.run(scope, schema.name, seq, committedAt, count);
  }
}

/** `all`: the table's rows. */
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
  const groups = ownQuery(db, `SELECT count(*), ${names} FROM ${ident(table)} GROUP BY ${names}`, RAW_ROW);
  for (const [count, ...values] of groups.iterate()) {
    const known = new Map(deciding.map((name, at) => [name, toWire(values[at])]));
    const group: WireRow = columns.map(({ name }) => known.get(name) ?? null);
    const scope = router.scopeOf(group);
    if (scope !== null) counts.set(scope, (counts.get(scope) ?? 0) + Number(count));
  }
  return counts;
}

/** Whether the log of a feed's store was routed by these filters; false for a store that does not exist. Throws db_*. */
export function isRoutedBy(file: string, filters: Filters): boolean {
  if (!existsSync(file)) return false;
  const db = openReader(file);
  try {
    return (
      exists(db, "SELECT 1 FROM pragma_table_info('tidemark_feed') WHERE name = 'filters'") &&
      query(db, 'SELECT filters FROM tidemark_feed', value(orNull(TEXT))).get() === fingerprint(filters)
    );
  } finally {
    db.close();
  }
}

/**
 * Makes the filters those of the log. When they differ from before, the increments are dropped, because they were routed by
 * the old ones; terminals fetch the difference. Throws config_invalid when a filter does not fit its table.
 */
export function takeFilters(db: Writer, filters: Filters, tables: FeedTable[]): void {
  const routers = boundTo(filters, tables);
  const print = fingerprint(filters);
  const feed = query(db, 'SELECT head, committed_at AS committedAt, filters FROM tidemark_feed', FEED).one();
  if (feed.filters === print) return;
  transaction(db, () => {
    const indexes = query(
      db,
      "SELECT name FROM sqlite_schema WHERE type = 'index' AND name LIKE 'tidemark\\_scope\\_%' ESCAPE '\\'",
      value(TEXT),
    ).all();
    for (const name of indexes) db.exec(`DROP INDEX ${ident(name)}`);
    clearLog(db);
    if (feed.committedAt !== null) countRows(db, tables, routers, feed.head, feed.committedAt);
    prepared(db, 'UPDATE tidemark_feed SET filters = ?').run(print);
  });
}

function boundTo(filters: Filters, tables: FeedTable[]): Routers {
  const routers = new Routers(filters);
  try {
    for (const { id, schema } of tables) routers.bind(id, schema);
    return routers;
  } catch (error) {
    if (!(error instanceof TidemarkError) || error.code !== 'filter_invalid') throw error;
    throw new TidemarkError('config_invalid', { detail: String(error.params.detail) }, error);
  }
}
