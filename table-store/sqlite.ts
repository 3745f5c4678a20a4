import { existsSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { TidemarkError } from '@tidemark/protocol/errors';
import type BetterSqlite3 from 'better-sqlite3';
import type { CooperativeTask } from './cooperative-task.ts';

/** Node-API that better-sqlite3 13 needs. On an older one it ends the process without a word. */
const NODE_API = 10;

let loaded: typeof BetterSqlite3 | undefined;

/** The SQLite binding: the project's own, or the one that TIDEMARK_BETTER_SQLITE3 names (for a runtime that ours does not fit). */
function binding(): typeof BetterSqlite3 {
  if (loaded) return loaded;
  const named = process.env.TIDEMARK_BETTER_SQLITE3;
  if (!named && Number(process.versions.napi) < NODE_API)
    throw new TidemarkError('node_too_old', { version: process.versions.node });
  loaded = createRequire(import.meta.url)(named ?? 'better-sqlite3') as typeof BetterSqlite3;
  return loaded;
}

declare const role: unique symbol;

/** A connection that may write. One process has one to a file. */
export type Writer = BetterSqlite3.Database & { readonly [role]: 'writer' };
/** A connection that cannot write. */
export type Reader = BetterSqlite3.Database & { readonly [role]: 'reader' };

export interface WriterOptions {
  /** `full`: a commit is on disk when it returns. `normal`: it survives a crash of the process, and a power cut at worst loses the newest, never breaks. */
  synchronous: 'normal' | 'full';
  /** Upper bound of SQLite's page cache, MiB; what is over it spills to the file. Default 64. */
  cacheMib?: number;
}

/** Pages of 4 KiB that the log of a database holds before they are moved into the file, which a commit waits for. */
const LOG_PAGES = 4000;

/** Opens or creates a database for writing, in WAL mode. Throws db_* or disk_full. */
export function openWriter(file: string, options: WriterOptions): Writer {
  return guard(file, () => {
    refuseFolder(file);
    const db = new (binding())(file) as Writer;
    try {
      db.pragma('busy_timeout = 5000');
      db.pragma('journal_mode = WAL');
      db.pragma(`synchronous = ${options.synchronous.toUpperCase()}`);
      db.pragma(`cache_size = ${-1024 * (options.cacheMib ?? 64)}`);
      db.pragma(`wal_autocheckpoint = ${LOG_PAGES}`);
      db.pragma('foreign_keys = OFF');
      db.pragma('temp_store = FILE');
      return db;
    } catch (error) {
      db.close();
      throw error;
    }
  });
}

/** Opens a database that exists, for reading. Throws db_*. */
export function openReader(file: string): Reader {
  return guard(file, () => {
    refuseFolder(file);
    const db = new (binding())(file, { readonly: true, fileMustExist: true }) as Reader;
    try {
      db.pragma('busy_timeout = 5000');
      db.pragma('query_only = ON');
      db.prepare('SELECT 1 FROM sqlite_schema LIMIT 1').get();
      return db;
    } catch (error) {
      db.close();
      throw error;
    }
  });
}

/** Holds an exclusive lock on a small SQLite file until the returned function is called. Throws when another holds it. */
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

/** Statements kept with their connection, by their text: for SQL that is the same each time. */
const PREPARED = new WeakMap<Reader | Writer, Map<string, BetterSqlite3.Statement>>();

/** A statement of this connection, prepared once. */
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

/** Runs `work` in one write transaction; what it throws rolls back. An asynchronous `work` does not compile. */
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

/** The same in steps. What ends it early rolls back; meanwhile nothing else may begin a transaction on this connection. */
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

/** Runs `work` and turns SQLite's and the file system's errors about `file` into coded ones. */
export function guard<T>(file: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw databaseError(file, error);
  }
}

/** The coded form of an error that opening or using `file` threw; anything else comes back as it was. */
export function databaseError(file: string, error: unknown): unknown {
  if (error instanceof TidemarkError || !(error instanceof Error)) return error;
  const code = String((error as { code?: unknown }).code ?? '');
  const detail = error.message;
  if (code === 'SQLITE_FULL' || code === 'ENOSPC')
    return new TidemarkError('disk_full', { detail: `writing ${file}` }, error);
  if (code === 'SQLITE_NOTADB') return new TidemarkError('db_not_sqlite', { file }, error);
  if (code.startsWith('SQLITE_CORRUPT')) return new TidemarkError('db_damaged', { file, detail }, error);
  if (code.startsWith('SQLITE_READONLY') || code === 'EACCES' || code === 'EROFS')
    return new TidemarkError('db_read_only', { file }, error);
  if (code.startsWith('SQLITE_BUSY') || code.startsWith('SQLITE_LOCKED'))
    return new TidemarkError('db_in_use', { file }, error);
  if (
    code.startsWith('SQLITE_CANTOPEN') ||
    code.startsWith('SQLITE_IOERR') ||
    detail.startsWith('Cannot open database')
  ) {
    return new TidemarkError('db_unavailable', { file, detail }, error);
  }
  return error;
}

function refuseFolder(file: string): void {
  if (existsSync(file) && statSync(file).isDirectory()) throw new TidemarkError('db_is_directory', { file });
  if (!existsSync(path.dirname(file)))
    throw new TidemarkError('db_unavailable', { file, detail: 'its folder does not exist' });
}

/** Quotes a name for SQL. */
export function ident(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
