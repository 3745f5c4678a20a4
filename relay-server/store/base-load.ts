import type { ChangeLine, WireRow } from '@tidemark/protocol/lines.ts';
import { LINE_BYTES } from '@tidemark/protocol/page.ts';
import { sameSchema, type TableSchema } from '@tidemark/protocol/schema.ts';
import type { FeedTables } from '@tidemark/replica/feed-tables.ts';
import { RowStatements, toWire } from '@tidemark/replica/row-statements.ts';
import { ident, type Writer } from '@tidemark/replica/sqlite.ts';
import { createTableSql } from '@tidemark/replica/table-ddl.ts';

interface Loading {
  id: number;
  schema: TableSchema;
  /** Where its rows go: the mirror itself for a first base, else a table beside it. */
  stage: { name: string; rows: RowStatements } | null;
}

/** About how many rows make a line of what a base changed. */
const ROWS_IN_LINE = 200;

/**
 * Takes a base into the mirror. The first goes straight in; a later one is loaded beside the mirror and
 * compared with it, so that only what differs enters the log.
 */
export class BaseLoad {
  readonly #db: Writer;
  readonly #tables: FeedTables;
  readonly #first: boolean;
  readonly #loading = new Map<number, Loading>();

  constructor(db: Writer, tables: FeedTables, first: boolean) {
    this.#db = db;
    this.#tables = tables;
    this.#first = first;
  }

  declare(id: number, schema: TableSchema): void {
    if (this.#loading.has(id)) return;
    if (this.#first) {
      this.#tables.declare(id, schema);
      this.#loading.set(id, { id, schema, stage: null });
      return;
    }
    const name = `tidemark_base_${id}`;
    this.#db.exec(`DROP TABLE IF EXISTS ${ident(name)}`);
    this.#db.exec(createTableSql({ ...schema, name }));
    this.#loading.set(id, { id, schema, stage: { name, rows: new RowStatements(this.#db, { ...schema, name }) } });
  }

  insert(id: number, rows: WireRow[]): void {
    const stage = this.#loading.get(id)?.stage;
    if (stage) stage.rows.upsert(rows);
    else this.#tables.apply(['i', id, rows]);
  }

  /** Ends a first base. */
  finishFirst(): void {
    this.#tables.saveCounts();
  }

  /** Ends a later base: gives the lines that bring the mirror to it, which `write` applies and logs. */
  finish(write: (line: ChangeLine) => void): void {
    const current = new Map(this.#tables.list().map((table) => [table.schema.name.toLowerCase(), table]));
    const kept = new Set([...this.#loading.values()].map(({ schema }) => schema.name.toLowerCase()));
    for (const [key, table] of current) if (!kept.has(key)) write(['x', table.schema.name]);
    for (const { id, schema, stage } of this.#loading.values()) {
      if (!stage) continue;
      const old = current.get(schema.name.toLowerCase());
      if (old && old.id === id && sameSchema(old.schema, schema)) this.#difference(id, schema, stage.name, write);
      else {
        write(['r', id]);
        this.#rows(schema, `SELECT rowid AS n FROM ${ident(stage.name)}`, stage.name, (rows) => write(['i', id, rows]));
      }
      this.#db.exec(`DROP TABLE ${ident(stage.name)}`);
    }
  }

  #difference(id: number, schema: TableSchema, stage: string, write: (line: ChangeLine) => void): void {
    const mirror = ident(schema.name);
    const fresh = ident(stage);
    const match = schema.key.map((name) => `m.${ident(name)} = s.${ident(name)}`).join(' AND ');
    const differs = schema.columns
      .map(
        ({ name }) =>
          `(m.${ident(name)} IS NOT s.${ident(name)} OR typeof(m.${ident(name)}) <> typeof(s.${ident(name)}))`,
      )
      .join(' OR ');
    const keyOnly: TableSchema = {
      ...schema,
      columns: schema.key.map((name) => schema.columns.find((column) => column.name === name) ?? never(name)),
    };
    this.#rows(
      keyOnly,
      `SELECT m.rowid AS n FROM ${mirror} m WHERE NOT EXISTS (SELECT 1 FROM ${fresh} s WHERE ${match})`,
      schema.name,
      (keys) => write(['d', id, keys]),
    );
    this.#rows(
      schema,
      `SELECT s.rowid AS n FROM ${fresh} s JOIN ${mirror} m ON ${match} WHERE ${differs}`,
      stage,
      (rows) => write(['u', id, rows]),
    );
    this.#rows(
      schema,
      `SELECT s.rowid AS n FROM ${fresh} s WHERE NOT EXISTS (SELECT 1 FROM ${mirror} m WHERE ${match})`,
      stage,
      (rows) => write(['i', id, rows]),
    );
  }

  /** Gives the rows of `table` that `pick` numbers, some at a time. They are numbered first: what takes them changes the mirror. */
  #rows(schema: TableSchema, pick: string, table: string, take: (rows: WireRow[]) => void): void {
    this.#db.exec(
      'CREATE TEMP TABLE IF NOT EXISTS tidemark_pick (n INTEGER PRIMARY KEY, row INTEGER); DELETE FROM temp.tidemark_pick',
    );
    this.#db.exec(`INSERT INTO temp.tidemark_pick (row) ${pick}`);
    const columns = schema.columns.map(({ name }) => `t.${ident(name)}`).join(', ');
    const some = this.#db
      .prepare(
        `SELECT p.n, ${columns} FROM temp.tidemark_pick p JOIN ${ident(table)} t ON t.rowid = p.row WHERE p.n > ? ORDER BY p.n LIMIT ${ROWS_IN_LINE}`,
      )
      .safeIntegers()
      .raw();
    let after = 0;
    for (;;) {
      const found = some.all(after) as unknown[][];
      if (found.length === 0) return;
      after = Number(found.at(-1)?.[0]);
      for (const rows of bySize(found.map((row) => row.slice(1).map(toWire)))) take(rows);
    }
  }
}

/** Cuts rows so that no line is much larger than LINE_BYTES. */
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

function never(name: string): never {
  throw new Error(`key column ${name} is not a column`);
}
