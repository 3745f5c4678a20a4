import { statfsSync } from 'node:fs';
import path from 'node:path';
import { type ErrorCode, TidemarkError } from '@tidemark/protocol/errors';

/**
 * The code of every error that SQLite or the file system reports about a database file.
 *
 * This is the only place that reads their codes to name a fault for people. An extended result code of SQLite has its own
 * entry where it means something else than its primary code. Codes without an entry (SQLITE_ERROR, SQLITE_CONSTRAINT,
 * SQLITE_MISUSE and the like) are caused by our statements, not by the file. They leave unchanged, because callers that
 * expect them look at them, and end as `internal`.
 */

/** By primary result code. */
const PRIMARY: Readonly<Record<string, ErrorCode>> = {
  SQLITE_FULL: 'disk_full',
  SQLITE_NOTADB: 'db_not_sqlite',
  SQLITE_CORRUPT: 'db_damaged',
  SQLITE_READONLY: 'db_read_only',
  SQLITE_PERM: 'db_read_only',
  SQLITE_BUSY: 'db_in_use',
  SQLITE_LOCKED: 'db_in_use',
  // A writer and a reader could not agree on the write-ahead log's index.
  SQLITE_PROTOCOL: 'db_in_use',
  SQLITE_CANTOPEN: 'db_unavailable',
  SQLITE_IOERR: 'db_unavailable',
  SQLITE_NOLFS: 'db_unavailable',
};

/** By extended result code, where it differs from its primary code. */
const EXTENDED: Readonly<Record<string, ErrorCode>> = {
  // The file was moved or replaced while it was open.
  SQLITE_READONLY_DBMOVED: 'db_unavailable',
  SQLITE_IOERR_CORRUPTFS: 'db_damaged',
  SQLITE_IOERR_DATA: 'db_damaged',
};

/** By the operating system's code. */
const FILE_SYSTEM: Readonly<Record<string, ErrorCode>> = {
  ENOSPC: 'disk_full',
  EDQUOT: 'disk_full',
  EACCES: 'db_read_only',
  EPERM: 'db_read_only',
  EROFS: 'db_read_only',
  EBUSY: 'db_in_use',
  EIO: 'db_unavailable',
  EISDIR: 'db_is_directory',
  ELOOP: 'db_unavailable',
  EMFILE: 'db_unavailable',
  ENAMETOOLONG: 'db_unavailable',
  ENFILE: 'db_unavailable',
  ENOENT: 'db_unavailable',
  ENOTDIR: 'db_unavailable',
  ENXIO: 'db_unavailable',
};

/** With fewer free bytes than this, SQLite cannot extend a file. The index of a write-ahead log grows by 32 KiB. */
const FULL_BELOW_BYTES = 128 * 1024;

/** Converts an error of SQLite or the file system about `file` to a coded error. Returns any other error unchanged. */
export function databaseError(file: string, error: unknown): unknown {
  if (error instanceof TidemarkError || !(error instanceof Error)) return error;
  const detail = error.message;
  const code = codeOf(String((error as { code?: unknown }).code ?? ''), detail);
  if (code === undefined) return error;
  // SQLite reports a full disk as an I/O error where it extends a file by another way than a write.
  if (code === 'disk_full' || (code === 'db_unavailable' && isIoError(error) && isFull(file)))
    return new TidemarkError('disk_full', { detail: `writing ${file}` }, error);
  return new TidemarkError(code, hasDetail(code) ? { file, detail } : { file }, error);
}

function codeOf(code: string, message: string): ErrorCode | undefined {
  // better-sqlite3 checks the folder and reports a missing one without a code of SQLite.
  if (message.startsWith('Cannot open database')) return 'db_unavailable';
  const primary = /^SQLITE_[A-Z]+/.exec(code)?.[0] ?? '';
  return EXTENDED[code] ?? PRIMARY[primary] ?? FILE_SYSTEM[code];
}

const hasDetail = (code: ErrorCode) => code === 'db_damaged' || code === 'db_unavailable';

const isIoError = (error: Error) => String((error as { code?: unknown }).code).startsWith('SQLITE_IOERR');

function isFull(file: string): boolean {
  try {
    const disk = statfsSync(path.dirname(file));
    return disk.bavail * disk.bsize < FULL_BELOW_BYTES;
  } catch {
    return false;
  }
}
