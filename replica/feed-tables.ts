import { TidemarkError } from '@tidemark/protocol/errors.ts';
import type { ChangeLine, WireKey, WireRow } from '@tidemark/protocol/lines.ts';
import { sameSchema, TableSchema } from '@tidemark/protocol/schema.ts';
import { RowStatements } from './row-statements.ts';
import { ident, prepared, type Writer } from './sqlite.ts';

/** What a line did. */
export interface Counts {
  name: string;
  inserted: number;
  updated: number;
  deleted: number;
  truncated: number;
}

export interface FeedTable {
  id: number;
  schema: TableSchema;
  rows: number;
}

interface Known {
  id: number;
  schema: TableSchema;
  /** Null until the table stands in the database under this id. */
  statements: RowStatements | null;
  rows: number;
  dirty: boolean;
}

const DDL = `CREATE TABLE IF NOT EXISTS tidemark_table (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  schema TEXT NOT NULL,
  rows INTEGER NOT NULL
)`;

/**
 * The tables of a feed in one SQLite database: creates them, changes their rows, counts them.
 * Works inside the caller's transaction; after a rollback the caller calls {@link FeedTables.reload}.
 */
export class FeedTables {
  readonly #db: Writer;
  readonly #known = new Map<number, Known>();
  readonly #current = new Map<string, Known>();

  constructor(db: Writer) {
    this.#db = db;
    db.exec(DDL);
    this.reload();
  }

  /** Forgets what is in memory and reads the database again. */
  reload(): void {
    this.#known.clear();
    this.#current.clear();
    const rows = prepared(this.#db, 'SELECT id, name, schema, rows FROM tidemark_table').all() as {
      id: number;
      schema: string;
      rows: number;
    }[];
    for (const row of rows) {
      const schema = TableSchema.parse(JSON.parse(row.schema));
      this.#admit({
        id: row.id,
        schema,
        statements: new RowStatements(this.#db, schema),
        rows: row.rows,
        dirty: false,
      });
    }
  }

  /** Makes a table id known. A table that does not exist yet is created; one that exists under another id waits for its `r` line. */
  declare(id: number, schema: TableSchema): void {
    const known = this.#known.get(id);
    if (known) {
      if (!sameSchema(known.schema, schema))
        throw new TidemarkError('schema_mismatch', {
          table: schema.name,
          detail: `table id ${id} was declared otherwise before`,
        });
      return;
    }
    const fresh: Known = { id, schema, statements: null, rows: 0, dirty: false };
    if (this.#current.has(nameKey(schema.name))) this.#known.set(id, fresh);
    else this.#create(fresh);
  }

  /** Applies one line. Throws page_invalid when it does not fit its table. */
  apply(line: ChangeLine): Counts {
    if (line[0] === 'x') return this.#drop(line[1]);
    const table = this.#known.get(line[1]);
    if (!table) throw new TidemarkError('page_invalid', { detail: `table id ${line[1]} is not declared` });
    const counts: Counts = { name: table.schema.name, inserted: 0, updated: 0, deleted: 0, truncated: 0 };
    if (line[0] === 'r') {
      this.#replace(table);
      counts.truncated = 1;
      return counts;
    }
    const statements = table.statements;
    if (!statements)
      throw new TidemarkError('page_invalid', { detail: `table ${table.schema.name} has another schema here` });
    switch (line[0]) {
      case 'i':
        statements.upsert(line[2]);
        counts.inserted = line[2].length;
        table.rows += line[2].length;
        break;
      case 'u':
        statements.upsert(line[2]);
        counts.updated = line[2].length;
        break;
      case 'd':
        table.rows -= statements.delete(line[2]);
        counts.deleted = line[2].length;
        break;
      case 't':
        statements.truncate();
        table.rows = 0;
        counts.truncated = 1;
        break;
    }
    table.dirty = true;
    return counts;
  }

  /** Writes the row counts that changed. The caller calls it before it commits. */
  saveCounts(): void {
    const save = prepared(this.#db, 'UPDATE tidemark_table SET rows = ? WHERE id = ?');
    for (const table of this.#current.values()) {
      if (!table.dirty) continue;
      save.run(table.rows, table.id);
      table.dirty = false;
    }
  }

  /** The row of this key as it would travel; null when there is none. */
  readByKey(id: number, key: WireKey): WireRow | null {
    const statements = this.#known.get(id)?.statements;
    if (!statements) throw new TidemarkError('page_invalid', { detail: `table id ${id} is not declared` });
    return statements.read(key);
  }

  /** Current tables, by name. */
  list(): FeedTable[] {
    return [...this.#current.values()]
      .map(({ id, schema, rows }) => ({ id, schema, rows }))
      .sort((a, b) => (a.schema.name < b.schema.name ? -1 : 1));
  }

  #admit(table: Known): void {
    this.#known.set(table.id, table);
    this.#current.set(nameKey(table.schema.name), table);
  }

  #create(table: Known): void {
    const { name } = table.schema;
    const other = prepared(this.#db, 'SELECT type FROM sqlite_schema WHERE lower(name) = lower(?)').get(name);
    if (other) throw new TidemarkError('name_clash', { table: name });
    this.#db.exec(createTableSql(table.schema));
    prepared(this.#db, 'INSERT INTO tidemark_table (id, name, schema, rows) VALUES (?, ?, ?, 0)').run(
      table.id,
      name,
      JSON.stringify(table.schema),
    );
    table.statements = new RowStatements(this.#db, table.schema);
    this.#admit(table);
  }

  #replace(table: Known): void {
    const old = this.#current.get(nameKey(table.schema.name));
    if (old) this.#remove(old);
    table.rows = 0;
    this.#create(table);
  }

  #drop(name: string): Counts {
    const old = this.#current.get(nameKey(name));
    if (!old) throw new TidemarkError('page_invalid', { detail: `table ${name} is dropped but not here` });
    this.#remove(old);
    return { name, inserted: 0, updated: 0, deleted: 0, truncated: 1 };
  }

  #remove(table: Known): void {
    this.#db.exec(`DROP TABLE IF EXISTS ${ident(table.schema.name)}`);
    prepared(this.#db, 'DELETE FROM tidemark_table WHERE id = ?').run(table.id);
    this.#known.delete(table.id);
    this.#current.delete(nameKey(table.schema.name));
  }
}

/** SQLite does not tell upper from lower case in names. */
const nameKey = (name: string) => name.toLowerCase();

/** SQL that creates a table of this schema, in `database` when named. */
export function createTableSql(schema: TableSchema, database = 'main'): string {
  const single = schema.key.length === 1 ? schema.key[0] : undefined;
  const columns = schema.columns.map((column) => {
    const type = column.type.toUpperCase();
    if (column.name === single) return `${ident(column.name)} ${type} PRIMARY KEY NOT NULL`;
    return `${ident(column.name)} ${type}${schema.key.includes(column.name) ? ' NOT NULL' : ''}`;
  });
  const key = single === undefined ? [`PRIMARY KEY (${schema.key.map(ident).join(', ')})`] : [];
  return `CREATE TABLE ${ident(database)}.${ident(schema.name)} (${[...columns, ...key].join(', ')})`;
}
