import type { ChangeLine, WireRow } from '@tidemark/protocol/lines';
import type { FeedTables } from '@tidemark/table-store/feed-tables';
import { ident, type Writer } from '@tidemark/table-store/sqlite';
import { type LogWriter, nameOfKey } from '../log/log-writer.ts';
import { EVERYONE_SCOPE } from '../routing/filters.ts';
import type { Router } from '../routing/router.ts';
import type { Routers } from '../routing/routers.ts';
import { encodeLine } from './batch-lines.ts';
import { rowsAdded, ScopedLines } from './scoped-lines.ts';

type RowLine = Extract<ChangeLine, { 0: 'i' | 'u' | 'd' }>;

/**
 * Applies the lines of a transaction to the mirror and adds them to the log by scope. A row that moves between scopes
 * becomes a delete in the old scope and an insert in the new one. The mirror supplies the old row, so a line must be
 * routed before it is applied. Works inside the caller's SQLite transaction.
 */
export class RoutedWriter {
  readonly #db: Writer;
  readonly #tables: FeedTables;
  readonly #routers: Routers;

  constructor(db: Writer, tables: FeedTables, routers: Routers) {
    this.#db = db;
    this.#tables = tables;
    this.#routers = routers;
  }

  /** Applies and logs a line. `bytes` is the encoded line. Throws page_invalid if the line does not match its table. */
  write(log: LogWriter, line: ChangeLine, bytes: Buffer): void {
    if (line[0] === 'i' || line[0] === 'u' || line[0] === 'd') this.#rows(log, line, bytes);
    else this.#structure(log, line, bytes);
  }

  #structure(log: LogWriter, line: Exclude<ChangeLine, RowLine>, bytes: Buffer): void {
    if (line[0] === 'a') {
      const [, id, from, columns] = line;
      const was = this.#routers.of(from).schema.name;
      const { name } = this.#tables.apply(line);
      indexScopes(this.#db, this.#routers.of(id), name);
      const { keepsAllColumns, schema } = this.#routers.of(id);
      const places = new Map(this.#routers.of(id).sentColumns.map((column, at) => [column, at]));
      const kept = schema.columns.map((column) => columns[places.get(column.name) ?? -1] ?? null);
      const sent = keepsAllColumns ? bytes : encodeLine(['a', id, from, kept]);
      return log.addStructure(sent, id, name, { emptied: false, was });
    }
    const { name } = this.#tables.apply(line);
    if (line[0] === 'r') indexScopes(this.#db, this.#routers.of(line[1]), name);
    log.addStructure(bytes, line[0] === 'x' ? null : line[1], name, { emptied: true });
  }

  #rows(log: LogWriter, line: RowLine, bytes: Buffer): void {
    const [kind, id, rows] = line;
    const router = this.#routers.of(id);
    if (router.plain) {
      const { name } = this.#tables.apply(line);
      log.add({
        scope: EVERYONE_SCOPE,
        bytes,
        changes: rows.length,
        id,
        table: name,
        rows: rowsAdded(kind, rows.length),
      });
      return;
    }
    let same = false;
    const lines = new ScopedLines(log, id, router, bytes, rows.length);
    if (kind === 'i') for (const row of rows) lines.insert(router.scopeOf(row), row);
    else if (router.schema.key.length === 0) for (const row of rows) lines.delete(router.scopeOf(row), row);
    else same = this.#changed(lines, kind, id, router, rows);
    this.#tables.apply(line, same ? router.columns : undefined);
    lines.end();
  }

  /**
   * Routes updates and deletes by the row in the mirror. The mirror does not contain the line's own changes yet, so
   * this method tracks rows that occur several times. Returns whether the compared columns are unchanged in every row.
   */
  #changed(lines: ScopedLines, kind: 'u' | 'd', id: number, router: Router, rows: WireRow[]): boolean {
    /** By key, the scope of the row after the line's changes so far. */
    const within = new Map<string | number | null, string | null>();
    let same = kind === 'u';
    for (const row of rows) {
      const key = kind === 'u' ? router.keyOf(row) : row;
      const name = nameOfKey(key);
      let before = rows.length > 1 ? within.get(name) : undefined;
      if (before === undefined) {
        const old = this.#tables.readByKey(id, key, router.columns);
        before = old === null ? null : router.scopeOf(old);
        same &&= old !== null && router.hasSameComparedValues(old, row);
      } else same = false;
      const after = kind === 'u' ? router.scopeOf(row) : null;
      if (rows.length > 1) within.set(name, after);
      if (before !== null && before === after) lines.update(before, row);
      else {
        lines.delete(before, key);
        if (after !== null) lines.insert(after, row);
      }
    }
    return same;
  }
}

/** Creates the index with which queries find the rows of a scope. */
export function indexScopes(db: Writer, router: Router, table: string): void {
  if (router.columns.size === 0) return;
  db.exec(
    `CREATE INDEX IF NOT EXISTS ${ident(`tidemark_scope_${table}`)} ON ${ident(table)} (${router.compared.join(', ')})`,
  );
}
