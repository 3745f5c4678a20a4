import type { KeyRange } from '@tidemark/protocol/api';
import type { Cursor } from '@tidemark/protocol/cursor';
import { TidemarkError } from '@tidemark/protocol/errors';
import type { WireRow } from '@tidemark/protocol/lines';
import type { ScopeSet } from '@tidemark/protocol/page';
import type { Difference } from '@tidemark/protocol/run';
import type { TableId, TableSchema } from '@tidemark/protocol/schema';
import { EVERYTHING, rowSql, TableRanges } from '@tidemark/table-store/digest';
import { inspectTable, thirdPartyUniqueIndexes } from '@tidemark/table-store/existing-table';
import type { Counts } from '@tidemark/table-store/feed-tables';
import { rememberedTables, saveTables } from '@tidemark/table-store/format';
import { RowStatements } from '@tidemark/table-store/row-statements';
import { ident, openReader, prepared, type Reader, type Writer } from '@tidemark/table-store/sqlite';
import { columnList, createTableSql, ensureIndexes, indexChanges } from '@tidemark/table-store/table-ddl';
import {
  OUR_TABLES,
  removeObjects,
  restoreObjects,
  type ThirdPartyObject,
  thirdPartyObjects,
} from '@tidemark/table-store/third-party-objects';

/** What a replica is compared with, from a snapshot's manifest. */
export interface CompareTarget {
  cursor: Cursor;
  committedAt: string;
  scopes: ScopeSet;
  tables: { id: TableId; name: string; rows: number; schema: TableSchema }[];
}

/** A table of the snapshot, and what is here under its name. */
export interface ComparedTable {
  id: TableId;
  schema: TableSchema;
  /** Rows in the snapshot. */
  rows: number;
  /** The table here; null: there is none of this form, all rows are to be fetched. */
  here: TableRanges | null;
}

interface Staged extends ComparedTable {
  /** A table of the feed stands here under this name, though of another form. */
  replaces: boolean;
  difference: Difference;
  /** Temporary tables, by quoted names: rows that have arrived and are not yet settled, rows to write, keys to delete. */
  arrived: string;
  upserts: string;
  deletes: string;
  made: boolean;
  /** Takes what arrives. */
  into: RowStatements | null;
}

interface Catalogued {
  id: number;
  name: string;
  schema: string;
  rows: number;
}

const nameKey = (name: string) => name.toLowerCase();

/**
 * What a comparison with a snapshot finds, kept in temporary tables until all of it is written in one transaction. A
 * process that dies before leaves the replica as it was.
 */
export class Repair {
  readonly target: CompareTarget;
  readonly #db: Writer;
  readonly #reader: Reader;
  readonly #tables = new Map<TableId, Staged>();
  /** Tables of the feed that the snapshot does not have. */
  readonly #gone: Catalogued[];
  readonly #catalogue: Catalogued[];
  /** Names of the feed's tables here, also where another program removed them from the catalogue. */
  readonly #ours: Set<string>;

  /** Throws name_clash when another program made a view of a name that the feed uses, or a table and the feed had none here. */
  constructor(db: Writer, target: CompareTarget) {
    this.#db = db;
    this.target = target;
    this.#catalogue = db.prepare('SELECT id, name, schema, rows FROM tidemark_table').all() as Catalogued[];
    this.#ours = new Set([...this.#catalogue.map(({ name }) => name), ...rememberedTables(db)].map(nameKey));
    const names = new Set(target.tables.map(({ name }) => nameKey(name)));
    this.#gone = this.#catalogue.filter(({ name }) => !names.has(nameKey(name)));
    this.#reader = openReader(db.name);
    try {
      // One moment for all tables.
      this.#reader.exec('BEGIN');
      for (const table of target.tables) this.#tables.set(table.id, this.#stage(table));
    } catch (error) {
      this.#reader.close();
      throw error;
    }
  }

  #stage({ id, name, rows, schema }: CompareTarget['tables'][number]): Staged {
    const structure = inspectTable(this.#reader, schema);
    const foreign = structure === 'view' || (structure === 'other' && !this.#ours.has(nameKey(name)));
    if (foreign) throw new TidemarkError('name_clash', { table: name });
    const replaces = structure === 'other';
    return {
      ...{ id, schema, rows, replaces, made: false, into: null },
      here: structure === 'same' ? new TableRanges(this.#reader, schema) : null,
      difference: { table: name, missing: 0, extra: replaces ? this.#countOf(name) : 0, different: 0 },
      arrived: `temp.tidemark_arrived_${id}`,
      upserts: `temp.tidemark_upserts_${id}`,
      deletes: `temp.tidemark_deletes_${id}`,
    };
  }

  #countOf(name: string): number {
    try {
      return this.#reader
        .prepare(`SELECT count(*) FROM main.${ident(name)}`)
        .pluck()
        .get() as number;
    } catch (error) {
      // What cannot be read, such as a virtual table of a module that is not here, holds nothing of ours.
      if ((error as { code?: unknown }).code === 'SQLITE_ERROR') return 0;
      throw error;
    }
  }

  /** Tables of the snapshot. */
  get tables(): ComparedTable[] {
    return [...this.#tables.values()];
  }

  /** Tables that differ, by name. */
  get differences(): Difference[] {
    const gone = this.#gone.map(({ name, rows }) => ({ table: name, missing: 0, extra: rows, different: 0 }));
    return [...this.#tables.values()]
      .filter((table) => this.#differs(table))
      .map(({ difference }) => difference)
      .concat(gone)
      .sort((a, b) => (a.table < b.table ? -1 : 1));
  }

  /** Whether writing it would change anything, be it only the position. */
  get needed(): boolean {
    const meta = this.#db.prepare('SELECT epoch, seq, scopes FROM tidemark_meta').get() as {
      epoch: string | null;
      seq: number;
      scopes: string | null;
    };
    const { cursor, scopes, tables } = this.target;
    const moves = meta.epoch !== cursor.epoch || meta.seq !== cursor.seq || (meta.scopes ?? scopes) !== scopes;
    if (moves || this.differences.length > 0) return true;
    return tables.some(({ id, name, rows, schema }) => {
      const known = this.#catalogue.find((table) => table.id === id);
      const catalogued = known?.name === name && known.rows === rows && known.schema === JSON.stringify(schema);
      return !catalogued || indexChanges(this.#db, id, schema).length > 0;
    });
  }

  /** Takes rows of a table as the relay sends them. */
  addRows(id: TableId, rows: WireRow[]): void {
    const table = this.#table(id);
    if (!table.made) this.#make(table);
    table.into?.upsert(rows);
    if (table.here === null) table.difference.missing += rows.length;
  }

  /** All rows of these ranges of a table with a key have been taken: compares them with those here. */
  compareRanges(id: TableId, ranges: KeyRange[]): void {
    const table = this.#table(id);
    if (this.#isWhole(table)) return;
    if (!table.made) this.#make(table);
    const { schema, arrived, upserts, deletes, difference } = table;
    const main = `main.${ident(schema.name)}`;
    const match = (a: string, b: string) =>
      schema.key.map((name) => `${a}.${ident(name)} = ${b}.${ident(name)}`).join(' AND ');
    const keys = schema.key.map((name) => `t.${ident(name)}`).join(', ');
    const all = new TableRanges(this.#db, schema);
    for (const range of ranges) {
      const { where, values } = all.within(range);
      const absent = `NOT EXISTS (SELECT 1 FROM ${arrived} AS i WHERE ${match('i', 't')})`;
      difference.extra += prepared(
        this.#db,
        `INSERT INTO ${deletes} SELECT ${keys} FROM ${main} AS t ${where === '' ? 'WHERE' : `${where} AND`} ${absent}`,
      ).run(values).changes;
    }
    const same = `${match('m', 'i')} AND ${rowSql(schema, 'm')} = ${rowSql(schema, 'i')}`;
    this.#run(`DELETE FROM ${arrived} AS i WHERE EXISTS (SELECT 1 FROM ${main} AS m WHERE ${same})`);
    const left = this.#one(`SELECT count(*) FROM ${arrived}`);
    const different = this.#one(
      `SELECT count(*) FROM ${arrived} AS i WHERE EXISTS (SELECT 1 FROM ${main} AS m WHERE ${match('m', 'i')})`,
    );
    difference.different += different;
    difference.missing += left - different;
    this.#run(`INSERT OR REPLACE INTO ${upserts} SELECT * FROM ${arrived}`);
    this.#run(`DELETE FROM ${arrived}`);
  }

  /** All rows of a table without a key have been taken: compares them, as a multiset, with those here. */
  compareKeyless(id: TableId): void {
    const table = this.#table(id);
    if (!table.made) this.#make(table);
    if (table.here === null) return;
    const rows = (from: string) =>
      `(SELECT x, count(*) AS n FROM (SELECT ${rowSql(table.schema, 't')} AS x FROM ${from} AS t) GROUP BY x)`;
    const main = `main.${ident(table.schema.name)}`;
    const lacking = (a: string, b: string) =>
      this.#one(
        `SELECT coalesce(sum(max(0, a.n - coalesce(b.n, 0))), 0) FROM ${rows(a)} AS a LEFT JOIN ${rows(b)} AS b ON a.x = b.x`,
      );
    table.difference.missing = lacking(table.upserts, main);
    table.difference.extra = lacking(main, table.upserts);
  }

  /**
   * Writes what was found, and the snapshot's position and set of scopes, inside the caller's transaction. `strict`:
   * what other programs made on the tables goes, because the feed's changes could not be written. Gives what changed by
   * table, and the names of indexes and triggers of other programs that are gone.
   */
  write(strict: boolean): { tables: Counts[]; dropped: string[] } {
    this.#reader.close();
    const aside = [...this.#tables.values()].map((table) => this.#putAside(table, strict));
    for (const name of OUR_TABLES)
      removeObjects(
        this.#db,
        thirdPartyObjects(this.#db, name).filter(({ type }) => type === 'trigger'),
      );
    for (const { name } of this.#gone) this.#drop(name);
    for (const table of this.#tables.values()) this.#writeTable(table);
    const refused = restoreObjects(
      this.#db,
      aside.flatMap(({ back }) => back),
    );
    this.#writeStanding();
    const tables = this.differences.map(({ table, missing, extra, different }) => {
      return { name: table, inserted: missing, updated: different, deleted: extra, truncated: 0 };
    });
    return { tables, dropped: [...aside.flatMap(({ removed }) => removed.map(({ name }) => name)), ...refused] };
  }

  /** Forgets what was found. */
  discard(): void {
    this.#reader.close();
    if (!this.#db.open) return;
    for (const { made, arrived, upserts, deletes } of this.#tables.values())
      if (made) for (const name of [arrived, upserts, deletes]) this.#db.exec(`DROP TABLE IF EXISTS ${name}`);
  }

  #table(id: TableId): Staged {
    const table = this.#tables.get(id);
    if (!table) throw new TidemarkError('page_invalid', { detail: `the snapshot has no table ${id}` });
    return table;
  }

  #isWhole({ here, schema }: Staged): boolean {
    return here === null || schema.key.length === 0;
  }

  #differs({ here, difference: { missing, extra, different } }: Staged): boolean {
    return here === null || missing + extra + different > 0;
  }

  #make(table: Staged): void {
    const { id, schema, deletes } = table;
    for (const kind of ['arrived', 'upserts'])
      this.#db.exec(createTableSql({ ...schema, name: `tidemark_${kind}_${id}` }, 'temp'));
    // Columns without a type: a key that is no value of its column's type is kept as it is.
    this.#db.exec(`CREATE TABLE ${deletes} (${schema.key.length === 0 ? 'k' : columnList(schema.key)})`);
    // What has nothing here to be compared with is written as it comes.
    const kind = this.#isWhole(table) ? 'upserts' : 'arrived';
    table.into = new RowStatements(this.#db, { ...schema, name: `tidemark_${kind}_${id}` });
    table.made = true;
  }

  /**
   * Puts aside what other programs made on a table and could keep its rows from becoming the feed's, or goes with the
   * table. Gives what is made again afterwards, and what is not.
   */
  #putAside({ schema, here }: Staged, strict: boolean): { back: ThirdPartyObject[]; removed: ThirdPartyObject[] } {
    const unique = thirdPartyUniqueIndexes(this.#db, schema.name);
    const all = thirdPartyObjects(this.#db, schema.name);
    const hinders = ({ type, name }: ThirdPartyObject) => type === 'trigger' || unique.includes(name);
    removeObjects(this.#db, all.filter(hinders));
    const back = all.filter((object) => (here === null || hinders(object)) && !(strict && hinders(object)));
    return { back, removed: strict ? all.filter(hinders) : [] };
  }

  #drop(name: string): void {
    const sql = "SELECT name FROM main.sqlite_schema WHERE lower(name) = lower(?) AND type = 'table'";
    const found = this.#db.prepare(sql).pluck().get(name) as string | undefined;
    if (found !== undefined) this.#db.exec(`DROP TABLE main.${ident(found)}`);
  }

  #writeTable(table: Staged): void {
    const { id, schema, here, made, upserts, deletes } = table;
    const main = `main.${ident(schema.name)}`;
    if (here === null) {
      this.#drop(schema.name);
      this.#db.exec(createTableSql(schema));
    }
    if (made) {
      const columns = columnList(schema.columns.map(({ name }) => name));
      const keyless = schema.key.length === 0;
      if (keyless) this.#run(`DELETE FROM ${main}`);
      else if (here !== null)
        this.#run(
          `DELETE FROM ${main} WHERE (${columnList(schema.key)}) IN (SELECT ${columnList(schema.key)} FROM ${deletes})`,
        );
      const verb = keyless ? 'INSERT' : 'INSERT OR REPLACE';
      this.#run(`${verb} INTO ${main} (${columns}) SELECT ${columns} FROM ${upserts}`);
    }
    ensureIndexes(this.#db, id, schema);
  }

  #writeStanding(): void {
    const { cursor, committedAt, scopes } = this.target;
    this.#db.exec('DELETE FROM tidemark_table; DELETE FROM tidemark_spool');
    const add = prepared(this.#db, 'INSERT INTO tidemark_table (id, name, schema, rows) VALUES (?, ?, ?, ?)');
    for (const { id, schema, rows, made } of this.#tables.values()) {
      const count = made ? new TableRanges(this.#db, schema).count(EVERYTHING) : rows;
      add.run(id, schema.name, JSON.stringify(schema), count);
    }
    prepared(
      this.#db,
      'UPDATE tidemark_meta SET epoch = ?, seq = ?, part = 0, squashed = NULL, committed_at = ?, scopes = ?',
    ).run(cursor.epoch, cursor.seq, committedAt, scopes);
    saveTables(this.#db);
    prepared(this.#db, 'UPDATE tidemark_status SET epoch = ?, seq = ?, committed_at = ?').run(
      cursor.epoch,
      cursor.seq,
      committedAt,
    );
  }

  #run(sql: string): void {
    this.#db.prepare(sql).run();
  }

  #one(sql: string): number {
    return this.#db.prepare(sql).pluck().get() as number;
  }
}
