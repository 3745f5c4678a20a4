import { TidemarkError } from '@tidemark/protocol/errors';
import type { AlterLine, ChangeLine, WireKey, WireRow } from '@tidemark/protocol/lines';
import { sameSchema, TableSchema } from '@tidemark/protocol/schema';
import { alterTable } from './alter-table.ts';
import { type ExistingTable, inspectTable } from './existing-table.ts';
import { TABLE_DDL } from './format.ts';
import { RowStatements } from './row-statements.ts';
import { ident, prepared, transaction, type Writer } from './sqlite.ts';
import { createTableSql, ensureIndexes, indexChanges } from './table-ddl.ts';

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

/** A table of the feed that another program altered. */
export interface AlteredTable {
  table: string;
  /** What is wrong with it, for people. */
  detail: string;
}

/** A row of tidemark_table. */
interface Stored {
  id: number;
  name: string;
  schema: string;
  rows: number;
}

const SAYS: Record<Exclude<ExistingTable, 'same'>, string> = {
  none: 'it is gone',
  other: 'its columns are not those of head office',
  view: 'a view stands in its place',
};

/**
 * The tables of a feed in one SQLite database: creates them, changes their rows, counts them.
 * Works inside the caller's transaction; after a rollback the caller calls {@link FeedTables.reload}.
 */
export class FeedTables {
  readonly #db: Writer;
  readonly #known = new Map<number, Known>();
  readonly #current = new Map<string, Known>();
  #dropped: string[] = [];
  #unreadable: string[] = [];

  constructor(db: Writer) {
    this.#db = db;
    db.exec(TABLE_DDL);
    this.reload();
  }

  /** Forgets what is in memory and reads the database again. */
  reload(): void {
    this.#known.clear();
    this.#current.clear();
    this.#dropped = [];
    this.#unreadable = [];
    const rows = prepared(this.#db, 'SELECT id, name, schema, rows FROM tidemark_table').all() as Stored[];
    for (const row of rows) {
      const schema = readSchema(row);
      if (schema === null) {
        this.#unreadable.push(row.name);
        continue;
      }
      const counted = Number.isSafeInteger(row.rows) && row.rows >= 0;
      this.#admit({
        id: row.id,
        schema,
        statements: new RowStatements(this.#db, schema),
        rows: counted ? row.rows : 0,
        dirty: false,
      });
    }
  }

  /**
   * Tables that are not as they should be, because another program altered, replaced or dropped them. Of those that are,
   * indexes of ours that it dropped are made again.
   */
  altered(): AlteredTable[] {
    const unreadable = this.#unreadable.map((table) => ({ table, detail: 'what is known of it is spoilt' }));
    const others = this.list().flatMap(({ id, schema }) => {
      const structure = inspectTable(this.#db, schema);
      if (structure !== 'same') return [{ table: schema.name, detail: SAYS[structure] }];
      const missing = indexChanges(this.#db, id, schema);
      if (missing.length > 0) transaction(this.#db, () => missing.forEach((sql) => void this.#db.exec(sql)));
      return [];
    });
    return [...unreadable, ...others];
  }

  /**
   * Makes a table id known. A table that does not exist yet is created, unless `create` says that an `a` line makes it of
   * another one; one that exists under another id waits for its `r` or `a` line.
   */
  declare(id: number, schema: TableSchema, create = true): void {
    const known = this.#known.get(id);
    if (known) {
      if (known.schema === schema) return;
      if (!sameSchema(known.schema, schema))
        throw new TidemarkError('schema_mismatch', {
          table: schema.name,
          detail: `table id ${id} was declared otherwise before`,
        });
      // What was compared once is known by sight.
      known.schema = schema;
      return;
    }
    const fresh: Known = { id, schema, statements: null, rows: 0, dirty: false };
    if (!create || this.#current.has(nameKey(schema.name))) this.#known.set(id, fresh);
    else this.#create(fresh);
  }

  /** Applies one line. Throws page_invalid when it does not fit its table. `same`: columns that its updates do not change, see {@link RowStatements.upsert}. */
  apply(line: ChangeLine, same?: ReadonlySet<string>): Counts {
    if (line[0] === 'x') return this.#drop(line[1]);
    const table = this.#known.get(line[1]);
    if (!table) throw new TidemarkError('page_invalid', { detail: `table id ${line[1]} is not declared` });
    const counts: Counts = { name: table.schema.name, inserted: 0, updated: 0, deleted: 0, truncated: 0 };
    if (line[0] === 'r' || line[0] === 'a') {
      if (line[0] === 'r') this.#replace(table);
      else this.#alter(table, line);
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
        statements.upsert(line[2], same);
        counts.updated = line[2].length;
        if (table.schema.key.length === 0) table.rows += line[2].length;
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

  /** Names of indexes and triggers of other programs that an altered table did not allow; they are gone. Forgets them. */
  takeDropped(): string[] {
    const dropped = this.#dropped;
    this.#dropped = [];
    return dropped;
  }

  /** The row of this key (of a table without a key: this row) as it would travel; null when there is none. `only`: see {@link RowStatements.read}. */
  readByKey(id: number, key: WireKey, only?: ReadonlySet<string>): WireRow | null {
    const statements = this.#known.get(id)?.statements;
    if (!statements) throw new TidemarkError('page_invalid', { detail: `table id ${id} is not declared` });
    return statements.read(key, only);
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
    ensureIndexes(this.#db, table.id, table.schema);
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

  #alter(table: Known, [, id, from, columns]: AlterLine): void {
    const old = this.#known.get(from);
    const invalid = (detail: string) => new TidemarkError('page_invalid', { detail });
    if (!old?.statements) throw invalid(`table id ${from} is altered but not here`);
    if (table.statements) throw invalid(`table id ${id} is here already`);
    const to = table.schema;
    this.#dropped.push(...alterTable(this.#db, { from: old.schema, id, to, columns }));
    prepared(this.#db, 'UPDATE tidemark_table SET id = ?, name = ?, schema = ? WHERE id = ?').run(
      id,
      to.name,
      JSON.stringify(to),
      from,
    );
    this.#known.delete(from);
    this.#current.delete(nameKey(old.schema.name));
    this.#admit({ ...old, id, schema: to, statements: new RowStatements(this.#db, to) });
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

function readSchema({ name, schema }: Stored): TableSchema | null {
  try {
    const read = TableSchema.safeParse(JSON.parse(schema));
    return read.success && read.data.name === name ? read.data : null;
  } catch {
    // Not JSON is no schema: the caller says which table it was of.
    return null;
  }
}

/** SQLite does not tell upper from lower case in names. */
const nameKey = (name: string) => name.toLowerCase();
