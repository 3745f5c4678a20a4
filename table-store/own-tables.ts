import { exists, query, TEXT, value } from './query.ts';
import type { Reader, Writer } from './sqlite.ts';
import { clearName } from './table-ddl.ts';

/**
 * The `tidemark_*` tables of a replica in the current format.
 *
 * Names that begin with `tidemark_` are reserved: an object of another program with such a name is dropped. The
 * numbered files in `migrations/` convert older formats to this one, so a change to {@link TABLES} needs a new
 * migration. Other programs read `tidemark_status`, so its columns keep their names and meanings:
 * docs/reference/replica-file.md.
 */
const TABLES = {
  tidemark_meta: [
    'one INTEGER PRIMARY KEY CHECK (one = 1)',
    'feed TEXT NOT NULL',
    'epoch TEXT',
    'seq INTEGER NOT NULL DEFAULT 0',
    'part INTEGER NOT NULL DEFAULT 0',
    'committed_at TEXT',
    'scopes TEXT',
    // Target seq of the compacted pages whose parts are in the spool. NULL: the spool holds parts of ordinary pages, or
    // none.
    'squashed INTEGER',
    // JSON array of the names in tidemark_table. Reveals that another program deleted rows there. See table-list.ts.
    'tables TEXT',
  ],
  tidemark_table: [
    'id INTEGER PRIMARY KEY',
    'name TEXT NOT NULL UNIQUE',
    'schema TEXT NOT NULL',
    'rows INTEGER NOT NULL',
  ],
  tidemark_spool: ['n INTEGER PRIMARY KEY', 'body BLOB NOT NULL'],
  tidemark_status: [
    'one INTEGER PRIMARY KEY CHECK (one = 1)',
    'feed TEXT NOT NULL',
    'epoch TEXT',
    'seq INTEGER',
    'committed_at TEXT',
    'checked_at TEXT',
    'synced_at TEXT',
    'head_seq INTEGER',
    'waiting INTEGER',
    'code TEXT',
    'headline TEXT',
    // Number of tables in tidemark_table whose schema has a mark (F17).
    'tables_set_aside INTEGER',
  ],
  tidemark_run: ['id TEXT PRIMARY KEY', 'started_at TEXT NOT NULL', 'run TEXT NOT NULL'],
  tidemark_sample: ['at INTEGER PRIMARY KEY', 'waiting INTEGER', 'lag_ms REAL', 'source_lag_ms REAL'],
} as const satisfies Record<string, readonly string[]>;

export type OwnTable = keyof typeof TABLES;

type NameOf<Column extends string> = Column extends `${infer Name} ${string}` ? Name : never;

export type StatusColumn = NameOf<(typeof TABLES)['tidemark_status'][number]>;

/** The columns of `tidemark_status`, as SQL defines them: a name, a type, and constraints. */
export const STATUS_COLUMNS: readonly `${StatusColumn} ${string}`[] = TABLES.tidemark_status;

export const OWN_TABLES = Object.keys(TABLES) as OwnTable[];

/** Tables that are written in the same transactions as the feed's tables. */
export const WRITTEN_WITH_FEED: OwnTable[] = ['tidemark_meta', 'tidemark_table', 'tidemark_spool', 'tidemark_status'];

/** A schema with a mark contains this text. In a name, JSON escapes the quotation mark. */
const MARKED = `instr(schema, '"setAside":') > 0`;

/** SQL that counts the tables of `tidemark_table` that are set aside. Searching for the text costs less than parsing. */
export const COUNT_SET_ASIDE = `(SELECT count(*) FROM tidemark_table WHERE ${MARKED})`;

const mark = (field: string) =>
  `CASE WHEN ${MARKED} AND json_valid(schema) THEN json_extract(schema, '$.setAside.${field}') END`;

/** The columns of the view `tidemark_table_status`, with their SQL. Other programs read them, like `tidemark_status`. */
const TABLE_STATUS = {
  name: 'name',
  rows: 'rows',
  set_aside: `${MARKED} AND json_valid(schema)`,
  reason: mark('reason'),
  as_of: mark('asOf'),
} as const;

export type TableStatusColumn = keyof typeof TABLE_STATUS;
export const TABLE_STATUS_COLUMNS = Object.keys(TABLE_STATUS) as TableStatusColumn[];

const VIEW = 'tidemark_table_status';
const VIEW_SQL = `CREATE VIEW ${VIEW} AS SELECT ${Object.entries(TABLE_STATUS)
  .map(([name, sql]) => (name === sql ? name : `${sql} AS ${name}`))
  .join(', ')} FROM tidemark_table`;

/** Whether the view `tidemark_table_status` is the one that this version creates. */
export function hasTableStatus(db: Writer | Reader): boolean {
  return exists(db, "SELECT 1 FROM main.sqlite_schema WHERE type = 'view' AND name = ? AND sql = ?", VIEW, VIEW_SQL);
}

const RUN_INDEX = 'tidemark_run_started';

const createSql = (table: OwnTable) => `CREATE TABLE IF NOT EXISTS ${table} (${TABLES[table].join(', ')})`;

/** SQL that creates `tidemark_table`. The relay's mirror has this table too. */
export const TABLE_DDL = createSql('tidemark_table');

const nameOf = (column: string) => column.slice(0, column.indexOf(' '));

/**
 * Returns the names of the columns that one of our tables does not have. When the table does not exist, returns all of
 * its columns.
 */
export function missingColumns(db: Writer | Reader, table: OwnTable): string[] {
  const wanted = TABLES[table].map(nameOf);
  const type = query(
    db,
    "SELECT type FROM main.sqlite_schema WHERE lower(name) = ? AND type <> 'trigger'",
    value(TEXT),
  ).get(table);
  if (type !== 'table') return wanted;
  const present = new Set(query(db, "SELECT name FROM pragma_table_info(?, 'main')", value(TEXT)).all(table));
  return wanted.filter((name) => !present.has(name));
}

/** Creates missing tables and indexes of ours. Replaces a table that does not have all columns by an empty one. */
export function createOwnTables(db: Writer): void {
  for (const table of OWN_TABLES) {
    if (missingColumns(db, table).length === 0) continue;
    clearName(db, table);
    db.exec(createSql(table));
  }
  if (!hasTableStatus(db)) {
    clearName(db, VIEW);
    db.exec(VIEW_SQL);
  }
  clearName(db, RUN_INDEX);
  db.exec(`CREATE INDEX ${RUN_INDEX} ON tidemark_run (started_at)`);
}
