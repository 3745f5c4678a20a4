import { existsSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { TidemarkError } from '@tidemark/protocol/errors';
import type BetterSqlite3 from 'better-sqlite3';
import type { CooperativeTask } from './cooperative-task.ts';
import { databaseError } from './database-error.ts';

/**
 * Opens connections to SQLite files, runs their transactions, and converts their errors to coded errors.
 *
 * Every file has one writer, which is a {@link Writer}. Readers in any process use a {@link Reader} and are never
 * blocked, because files are in WAL mode. Code that writes through a reader, or runs an asynchronous function inside a
 * transaction, does not compile. Errors of SQLite and of the file system leave this module as coded errors.
 */

/** Node-API version that better-sqlite3 13 needs. With an older version it terminates the process without a message. */
const NODE_API = 10;

let loaded: typeof BetterSqlite3 | undefined;

/**
 * Loads the SQLite binding: ours, or the one that TIDEMARK_BETTER_SQLITE3 names, for a runtime that ours was not built
 * for. Throws `node_too_old`.
 */
function binding(): typeof BetterSqlite3 {
  if (loaded) return loaded;
  const named = process.env.TIDEMARK_BETTER_SQLITE3;
  if (!named && Number(process.versions.napi) < NODE_API)
    throw new TidemarkError('node_too_old', { version: process.versions.node });
  loaded = createRequire(import.meta.url)(named ?? 'better-sqlite3') as typeof BetterSqlite3;
  return loaded;
}

declare const role: unique symbol;

/** A connection that may write. Each file has at most one. */
export type Writer = BetterSqlite3.Database & { readonly [role]: 'writer' };
/** A connection that cannot write. */
export type Reader = BetterSqlite3.Database & { readonly [role]: 'reader' };

export interface WriterOptions {
  /**
   * `full`: a commit is on disk when it returns. `normal`: a power cut can lose the newest commits but cannot damage
   * the file; a crash of the process loses none.
   */
  synchronous: 'normal' | 'full';
  /** Upper bound on SQLite's page cache, MiB. Larger transactions spill to the file. Default: 64. */
  cacheMib?: number;
}

/** Number of 4 KiB pages in the write-ahead log after which a commit moves them into the file. */
const WAL_PAGES = 4000;

/** Opens or creates a database for writing, in WAL mode. Throws `db_*` or `disk_full`. */
export function openWriter(file: string, options: WriterOptions): Writer {
  return guard(file, () => {
    refuseFolder(file);
    const db = new (binding())(file) as Writer;
    try {
      db.pragma(`busy_timeout = ${LOCK_WAIT_MS}`);
      db.pragma('journal_mode = WAL');
      db.pragma(`synchronous = ${options.synchronous.toUpperCase()}`);
      db.pragma(`cache_size = ${-1024 * (options.cacheMib ?? 64)}`);
      db.pragma(`wal_autocheckpoint = ${WAL_PAGES}`);
      db.pragma('foreign_keys = OFF');
      db.pragma('temp_store = FILE');
      return db;
    } catch (error) {
      db.close();
      throw error;
    }
  });
}

/** How long a connection waits for a lock of another one, ms. */
const LOCK_WAIT_MS = 5000;

/**
 * Moves the pages of the write-ahead log into the file, and empties the log unless another connection reads or writes.
 * Does not wait. Returns the number of pages in the log, and how many of them are in the file; -1 while another
 * connection moves pages. A read transaction keeps newer pages from being moved.
 */
export function truncateLog(db: Writer): { pages: number; moved: number } {
  return guard(db.name, () => {
    db.pragma('busy_timeout = 0');
    try {
      const [result] = db.pragma('wal_checkpoint(TRUNCATE)') as [{ log: number; checkpointed: number }];
      return { pages: result.log, moved: result.checkpointed };
    } finally {
      db.pragma(`busy_timeout = ${LOCK_WAIT_MS}`);
    }
  });
}

/** Opens an existing database for reading. Throws `db_*`. */
export function openReader(file: string): Reader {
  return guard(file, () => {
    refuseFolder(file);
    const db = new (binding())(file, { readonly: true, fileMustExist: true }) as Reader;
    try {
      db.pragma(`busy_timeout = ${LOCK_WAIT_MS}`);
      db.pragma('query_only = ON');
      db.prepare('SELECT 1 FROM sqlite_schema LIMIT 1').get();
      return db;
    } catch (error) {
      db.close();
      throw error;
    }
  });
}

/** Memory for the pages of a check, KiB. The check reads each page once, and is slower with SQLite's 16 MB. */
const CHECK_CACHE_KIB = 256;

/** Checks every page of a database with SQLite's quick check. Returns the first damage that it finds, or null. */
export function pageDamage(db: Reader): string | null {
  db.pragma(`cache_size = -${CHECK_CACHE_KIB}`);
  // A row that violates a constraint of another program is not damage.
  db.pragma('ignore_check_constraints = ON');
  try {
    return quickCheck(db, '1');
  } catch (error) {
    if (!needsCollation(error)) throw error;
    return tableDamage(db);
  }
}

/**
 * Checks the pages of each table. An index of another program may use a collation that only that program defines, and
 * SQLite cannot check the table of such an index.
 */
function tableDamage(db: Reader): string | null {
  const tables = db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").pluck().all();
  for (const table of tables) {
    try {
      const found = quickCheck(db, ident(String(table)));
      if (found !== null) return found;
    } catch (error) {
      if (!needsCollation(error)) throw error;
    }
  }
  return null;
}

function quickCheck(db: Reader, argument: string): string | null {
  const found = String(db.pragma(`quick_check(${argument})`, { simple: true }));
  return found === 'ok' ? null : found.replace(/^\*\*\* in database \w+ \*\*\*\s*/, '').replaceAll(/\s+/g, ' ');
}

const needsCollation = (error: unknown) => (error as { code?: unknown }).code === 'SQLITE_ERROR_MISSING_COLLSEQ';

/**
 * Takes an exclusive lock on a small SQLite file and returns the function that releases it. The operating system
 * releases it when the process ends. Throws SQLITE_BUSY when another connection holds it.
 */
export function openLockFile(file: string): () => void {
  const db = new (binding())(file);
  try {
    db.pragma('busy_timeout = 0');
    db.pragma('locking_mode = EXCLUSIVE');
    db.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    db.close();
    throw error;
  }
  return () => db.close();
}

/** Prepared statements, by connection and SQL. */
const PREPARED = new WeakMap<Reader | Writer, Map<string, BetterSqlite3.Statement>>();

/** Returns a statement that writes, prepared once per connection. For statements that read, see query.ts. */
export function prepared(db: Reader | Writer, sql: string): BetterSqlite3.Statement {
  let known = PREPARED.get(db);
  if (!known) {
    known = new Map();
    PREPARED.set(db, known);
  }
  let statement = known.get(sql);
  if (!statement) {
    statement = db.prepare(sql);
    known.set(sql, statement);
  }
  return statement;
}

type Synchronous<T> = T extends PromiseLike<unknown> ? never : T;

/** Runs `work` in one write transaction and rolls back if it throws. An asynchronous `work` does not compile. */
export function transaction<T>(db: Writer, work: () => Synchronous<T>): T {
  return guard(db.name, () => {
    db.exec('BEGIN IMMEDIATE');
    try {
      const result = work();
      db.exec('COMMIT');
      return result;
    } catch (error) {
      if (db.inTransaction) db.exec('ROLLBACK');
      throw error;
    }
  });
}

/**
 * Runs a task in one write transaction. Rolls back if the task throws or is stopped early. Until it ends, no other
 * transaction may begin on this connection.
 */
export function* cooperativeTransaction<T>(db: Writer, work: CooperativeTask<T>): CooperativeTask<T> {
  guard(db.name, () => db.exec('BEGIN IMMEDIATE'));
  try {
    const result = yield* work;
    db.exec('COMMIT');
    return result;
  } catch (error) {
    throw databaseError(db.name, error);
  } finally {
    if (db.inTransaction) db.exec('ROLLBACK');
  }
}

/** Runs `work` and converts its errors about `file` to coded errors. */
export function guard<T>(file: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw databaseError(file, error);
  }
}

function refuseFolder(file: string): void {
  if (existsSync(file) && statSync(file).isDirectory()) throw new TidemarkError('db_is_directory', { file });
  if (!existsSync(path.dirname(file)))
    throw new TidemarkError('db_unavailable', { file, detail: 'its folder does not exist' });
}

/** Quotes a name for use in SQL. */
export function ident(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
