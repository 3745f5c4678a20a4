import type { ChangeLine, WireRow } from '@tidemark/protocol/lines';
import type { FeedTables } from '@tidemark/table-store/feed-tables';
import { ident, type Writer } from '@tidemark/table-store/sqlite';
import { type LogWriter, nameOfKey } from '../log/log-writer.ts';
import { EVERYONE_SCOPE, type Router } from '../routing/filters.ts';
import type { Routers } from '../routing/routers.ts';

type RowLine = Extract<ChangeLine, { 0: 'i' | 'u' | 'd' }>;
type RowKind = RowLine[0];

/** Rows of one kind that follow each other in a scope. */
interface Run {
  kind: RowKind;
  rows: WireRow[];
}

/**
 * Takes the lines of a transaction into the mirror, and into the log by scope: a row that moves from one scope to another
 * is a delete there and an insert here.
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

  /** `bytes`: the line as it came. Throws page_invalid when it does not fit its table. */
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
      const { whole, schema } = this.#routers.of(id);
      const places = new Map(this.#routers.of(id).given.map((column, at) => [column, at]));
      const kept = schema.columns.map((column) => columns[places.get(column.name) ?? -1] ?? null);
      const sent = whole ? bytes : Buffer.from(`${JSON.stringify(['a', id, from, kept])}\n`);
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
      log.add({ scope: EVERYONE_SCOPE, bytes, changes: rows.length, id, table: name, rows: added(kind, rows.length) });
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
   * Rows whose old scope the mirror tells, which does not hold the line yet: what it said before counts within the line.
   * Returns whether what decides who gets a row stayed the same in each.
   */
  #changed(lines: ScopedLines, kind: 'u' | 'd', id: number, router: Router, rows: WireRow[]): boolean {
    const within = new Map<string | number | null, string | null>();
    let same = kind === 'u';
    for (const row of rows) {
      const key = kind === 'u' ? router.keyOf(row) : row;
      const name = nameOfKey(key);
      let before = rows.length > 1 ? within.get(name) : undefined;
      if (before === undefined) {
        const old = this.#tables.readByKey(id, key, router.columns);
        before = old === null ? null : router.scopeOf(old);
        same &&= old !== null && router.decidesAlike(old, row);
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

/** The rows of a scope are found by an index, not by reading the table. */
export function indexScopes(db: Writer, router: Router, table: string): void {
  if (router.columns.size === 0) return;
  db.exec(
    `CREATE INDEX IF NOT EXISTS ${ident(`tidemark_scope_${table}`)} ON ${ident(table)} (${router.compared.join(', ')})`,
  );
}

const added = (kind: RowKind, rows: number) => (kind === 'i' ? rows : kind === 'd' ? -rows : 0);

/** One line's rows, sorted into lines of their scopes. */
class ScopedLines {
  readonly #log: LogWriter;
  readonly #id: number;
  readonly #router: Router;
  readonly #bytes: Buffer;
  readonly #count: number;
  readonly #runs = new Map<string, Run>();
  /** Keys that the line deletes, and where: they may arrive in another scope by what follows. */
  readonly #deleted = new Map<string | number | null, string>();

  /** `bytes`: the line that `count` rows came in; it is kept when they all go one way. */
  constructor(log: LogWriter, id: number, router: Router, bytes: Buffer, count: number) {
    this.#log = log;
    this.#id = id;
    this.#router = router;
    this.#bytes = bytes;
    this.#count = count;
  }

  insert(scope: string | null, row: WireRow): void {
    if (scope === null) return;
    const key = this.#router.keyOf(row);
    if (this.#deleted.size > 0) {
      const before = this.#deleted.get(nameOfKey(key));
      if (before !== undefined && before !== scope) this.#write(before);
    }
    this.#log.beforeInsert(scope, this.#id, key);
    this.#add(scope, 'i', row);
  }

  update(scope: string, row: WireRow): void {
    this.#add(scope, 'u', row);
  }

  delete(scope: string | null, key: WireRow): void {
    if (scope === null) return;
    this.#add(scope, 'd', key);
    this.#deleted.set(nameOfKey(key), scope);
  }

  end(): void {
    for (const scope of [...this.#runs.keys()]) this.#write(scope);
  }

  #add(scope: string, kind: RowKind, row: WireRow): void {
    let run = this.#runs.get(scope);
    if (run && run.kind !== kind) {
      this.#write(scope);
      run = undefined;
    }
    if (!run) {
      run = { kind, rows: [] };
      this.#runs.set(scope, run);
    }
    run.rows.push(row);
  }

  #write(scope: string): void {
    const run = this.#runs.get(scope);
    if (!run) return;
    this.#runs.delete(scope);
    const { kind, rows } = run;
    const asItCame = rows.length === this.#count && this.#router.whole && this.#bytes.toString('latin1', 2, 3) === kind;
    const sent = rows.map((row) => (kind === 'd' ? this.#router.projectKey(row) : this.#router.project(row)));
    const bytes = asItCame ? this.#bytes : Buffer.from(`${JSON.stringify([kind, this.#id, sent])}\n`);
    const changes = rows.length;
    this.#log.add({
      scope,
      bytes,
      changes,
      id: this.#id,
      table: this.#router.schema.name,
      rows: added(kind, changes),
    });
    if (kind === 'd') for (const key of rows) this.#log.onDelete(scope, this.#id, key);
  }
}
