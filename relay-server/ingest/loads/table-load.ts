import type { ChangeLine, WireRow } from '@tidemark/protocol/lines';
import { LINE_BYTES } from '@tidemark/protocol/page';
import { sameSchema, type TableSchema } from '@tidemark/protocol/schema';
import type { FeedTable, FeedTables } from '@tidemark/table-store/feed-tables';
import { ownQuery, RAW_ROW } from '@tidemark/table-store/query';
import { RowStatements, toWire } from '@tidemark/table-store/row-statements';
import { ident, type Writer } from '@tidemark/table-store/sqlite';
import { createTableSql, rowidOf } from '@tidemark/table-store/table-ddl';
import type { Routers } from '../../routing/routers.ts';

/** Maximum number of rows in a line. */
const ROWS_IN_LINE = 200;

/** The table to load, and the mirror's table from which it originates. */
export interface Loaded {
  id: number;
  schema: TableSchema;
  /** Id of the mirror's table; null if the loaded table is new. */
  from: number | null;
  /** The old name of each column; null for a new column. */
  columns: (string | null)[];
}

/**
 * Loads all rows of one table into a staging table and compares it with the mirror, so that only the difference enters
 * the log. An altered table keeps its rows if its key and the filters allow it.
 */
export class TableLoad {
  readonly #db: Writer;
  readonly #tables: FeedTables;
  readonly #routers: Routers;
  readonly #loaded: Loaded;
  readonly #stage: TableSchema;
  readonly #rows: RowStatements;

  constructor(db: Writer, tables: FeedTables, routers: Routers, loaded: Loaded) {
    this.#db = db;
    this.#tables = tables;
    this.#routers = routers;
    this.#loaded = loaded;
    // No query uses the indexes of the staging table.
    this.#stage = { ...loaded.schema, name: `tidemark_base_${loaded.id}`, indexes: [] };
    db.exec(`DROP TABLE IF EXISTS ${ident(this.#stage.name)}`);
    db.exec(createTableSql(this.#stage));
    this.#rows = new RowStatements(db, this.#stage);
  }

  /** The name of the loaded table. */
  get name(): string {
    return this.#loaded.schema.name;
  }

  insert(rows: WireRow[]): void {
    this.#rows.upsert(rows);
  }

  /** Drops the loaded rows. The mirror stays unchanged. */
  discard(): void {
    this.#db.exec(`DROP TABLE ${ident(this.#stage.name)}`);
  }

  /** Ends the load. Passes the lines of the difference in order to `write`, which applies and logs them. */
  finish(write: (line: ChangeLine) => void): void {
    const { id, schema, columns } = this.#loaded;
    const all = this.#tables.list();
    const old = all.find((table) => table.id === this.#loaded.from);
    const sameNamed = all.find((table) => sameName(table.schema, schema));
    if (old && this.#keepsRows(old)) {
      if (old.id !== id || !sameSchema(old.schema, schema)) {
        if (sameNamed && sameNamed !== old) write(['x', sameNamed.schema.name]);
        write(['a', id, old.id, columns]);
      }
      if (schema.key.length > 0) this.#difference(write);
      else this.#surplus(write);
    } else {
      if (old && old !== sameNamed) write(['x', old.schema.name]);
      write(['r', id]);
      this.#selected(schema, `SELECT ${rowidOf(this.#stage)} FROM ${ident(this.#stage.name)}`, this.#stage, (rows) =>
        write(['i', id, rows]),
      );
    }
    this.discard();
  }

  /** Reports whether mirror and terminals can keep the rows of `old` when it becomes the loaded table. */
  #keepsRows(old: FeedTable): boolean {
    const { id, columns } = this.#loaded;
    return keepsKeys(old, this.#loaded) && this.#routers.of(id).keepsRowsOf(this.#routers.of(old.id), columns);
  }

  /** Compares a table with a key: writes the rows to delete, to update and to insert. */
  #difference(write: (line: ChangeLine) => void): void {
    const { id, schema } = this.#loaded;
    const mirror = ident(schema.name);
    const fresh = ident(this.#stage.name);
    const match = schema.key.map((name) => `m.${ident(name)} = s.${ident(name)}`).join(' AND ');
    const differs = schema.columns
      .map(
        ({ name }) =>
          `(m.${ident(name)} IS NOT s.${ident(name)} OR typeof(m.${ident(name)}) <> typeof(s.${ident(name)}))`,
      )
      .join(' OR ');
    const rowid = rowidOf(schema);
    const keyOnly = schema.key.flatMap((name) => schema.columns.find((column) => column.name === name) ?? []);
    this.#selected(
      { ...schema, columns: keyOnly },
      `SELECT m.${rowid} FROM ${mirror} m WHERE NOT EXISTS (SELECT 1 FROM ${fresh} s WHERE ${match})`,
      schema,
      (keys) => write(['d', id, keys]),
    );
    this.#selected(
      schema,
      `SELECT s.${rowid} FROM ${fresh} s JOIN ${mirror} m ON ${match} WHERE ${differs}`,
      this.#stage,
      (rows) => write(['u', id, rows]),
    );
    this.#selected(
      schema,
      `SELECT s.${rowid} FROM ${fresh} s WHERE NOT EXISTS (SELECT 1 FROM ${mirror} m WHERE ${match})`,
      this.#stage,
      (rows) => write(['i', id, rows]),
    );
  }

  /** Compares a keyless table as a multiset: writes the surplus rows to delete and the missing rows to insert. */
  #surplus(write: (line: ChangeLine) => void): void {
    const { id, schema } = this.#loaded;
    const values = schema.columns.map((_, i) => `v${i}`).join(', ');
    const named = schema.columns.map(({ name }, i) => `${ident(name)} AS v${i}`).join(', ');
    const rows = (side: 'mirror' | 'stage', table: TableSchema) =>
      `SELECT '${side}' AS side, ${rowidOf(schema)} AS row, ${named} FROM ${ident(table.name)}`;
    // Number the equal rows of each side. A number that exists on only one side is a row to delete or to insert.
    const rowsOnlyIn = (side: 'mirror' | 'stage') =>
      `SELECT max(row) FROM (SELECT side, row, row_number() OVER (PARTITION BY side, ${values}) AS n, ${values}
         FROM (${rows('mirror', schema)} UNION ALL ${rows('stage', this.#stage)}))
       GROUP BY ${values}, n HAVING count(*) = 1 AND max(side) = '${side}'`;
    this.#selected(schema, rowsOnlyIn('mirror'), schema, (surplus) => write(['d', id, surplus]));
    this.#selected(schema, rowsOnlyIn('stage'), this.#stage, (missing) => write(['i', id, missing]));
  }

  /**
   * Passes the rows of `table` whose rowids `pick` selects to `take`, in chunks. Stores the rowids first, because
   * `take` changes the mirror.
   */
  #selected(wanted: TableSchema, pick: string, table: TableSchema, take: (rows: WireRow[]) => void): void {
    this.#db.exec(
      'CREATE TEMP TABLE IF NOT EXISTS tidemark_pick (n INTEGER PRIMARY KEY, row INTEGER); DELETE FROM temp.tidemark_pick',
    );
    this.#db.exec(`INSERT INTO temp.tidemark_pick (row) ${pick}`);
    const columns = wanted.columns.map(({ name }) => `t.${ident(name)}`).join(', ');
    const some = ownQuery(
      this.#db,
      `SELECT p.n, ${columns} FROM temp.tidemark_pick p JOIN ${ident(table.name)} t ON t.${rowidOf(table)} = p.row WHERE p.n > ? ORDER BY p.n LIMIT ${ROWS_IN_LINE}`,
      RAW_ROW,
    );
    let after = 0;
    for (;;) {
      const found = some.all(after);
      if (found.length === 0) return;
      after = Number(found.at(-1)?.[0]);
      for (const rows of bySize(found.map((row) => row.slice(1).map(toWire)))) take(rows);
    }
  }
}

/** Reports whether the key columns keep their values, order and types. */
function keepsKeys(old: FeedTable, { schema, columns }: Loaded): boolean {
  const typeOf = (table: TableSchema, name: string) => table.columns.find((column) => column.name === name)?.type;
  return (
    old.schema.key.length === schema.key.length &&
    schema.key.every((name, i) => {
      const before = columns[schema.columns.findIndex((column) => column.name === name)];
      return (
        before === old.schema.key[i] && before !== undefined && typeOf(old.schema, before) === typeOf(schema, name)
      );
    })
  );
}

/** Compares names without case, as SQLite does. */
const sameName = (a: TableSchema, b: TableSchema) => a.name.toLowerCase() === b.name.toLowerCase();

/** Splits rows into lines that are not much larger than LINE_BYTES. */
function bySize(rows: WireRow[]): WireRow[][] {
  const lines: WireRow[][] = [];
  let line: WireRow[] = [];
  let size = 0;
  for (const row of rows) {
    line.push(row);
    size += row.reduce<number>((sum, value) => sum + (typeof value === 'string' ? value.length : 8), 0);
    if (size < LINE_BYTES) continue;
    lines.push(line);
    line = [];
    size = 0;
  }
  return line.length > 0 ? [...lines, line] : lines;
}
