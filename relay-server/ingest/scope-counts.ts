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
import { storeFilters } from './stored-filters.ts';

/**
 * Records the filters by which the store was routed, and the number of rows of each table in each scope. It counts
 * whenever the log begins: at the first base, after a change of filters, and at a new epoch. The log's running totals
 * start from these counts.
 */

const FEED = row({ head: SEQ, committedAt: orNull(TEXT), filters: orNull(TEXT) });

/** Counts each table's rows by scope and stores the counts as those at `seq`. Works inside the caller's transaction. */
export function countRows(db: Writer, tables: FeedTable[], routers: Routers, seq: number, committedAt: string): void {
  const add = prepared(db, 'INSERT OR REPLACE INTO tidemark_table_change VALUES (?, ?, ?, ?, 0, ?)');
  for (const { id, schema, rows } of tables) {
    const router = routers.of(id);
    for (const [scope, count] of countByScope(db, router, schema.name, schema.columns, rows))
      add.run(scope, schema.name, seq, committedAt, count);
  }
}

/** Counts the rows of one table by scope. `all` is the total number of rows. */
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

/**
 * Reports whether these filters routed the log of a feed's store. Returns false if the store does not exist. Throws
 * db_*.
 */
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
 * Makes these filters the current ones. If they have changed, drops the increments, which were routed by the old
 * filters; terminals then fetch the difference. Throws config_invalid if a filter does not match its table.
 */
export function applyFilters(db: Writer, filters: Filters, tables: FeedTable[]): void {
  const routers = boundTo(filters, tables);
  storeFilters(db, filters);
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

/** The remedy for a filter that names a column under its new name too early. */
const RENAMED =
  'If the column was renamed at the master, start the relay with the previous relay.yaml first, so that the feed sets the table aside. Then change only the names of columns in the filter';

function boundTo(filters: Filters, tables: FeedTable[]): Routers {
  const routers = new Routers(filters);
  try {
    for (const { id, schema } of tables) routers.bind(id, schema);
    return routers;
  } catch (error) {
    if (!(error instanceof TidemarkError) || error.code !== 'filter_invalid') throw error;
    throw new TidemarkError('config_invalid', { detail: `${error.params.detail}. ${RENAMED}` }, error);
  }
}
