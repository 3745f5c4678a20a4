import { statfsSync } from 'node:fs';
import path from 'node:path';
import { type ErrorCode, TidemarkError } from '@tidemark/protocol/errors';

/**
 * Converts the errors that SQLite or the file system reports about a database file to our error codes.
 *
 * No other module may interpret their codes. An extended result code of SQLite has its own entry when its meaning
 * differs from that of its primary code. Codes without an entry (SQLITE_ERROR, SQLITE_CONSTRAINT, SQLITE_MISUSE and
 * similar ones) are caused by our statements rather than by the file. Their errors are returned unchanged, because some
 * callers expect them; the others become `internal`.
 */

/** Our codes, by primary result code of SQLite. */
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

/** Our codes, by extended result code of SQLite, where they differ from those of the primary code. */
const EXTENDED: Readonly<Record<string, ErrorCode>> = {
  // The file was moved or replaced while it was open.
  SQLITE_READONLY_DBMOVED: 'db_unavailable',
  SQLITE_IOERR_CORRUPTFS: 'db_damaged',
  SQLITE_IOERR_DATA: 'db_damaged',
};

/** Our codes, by error code of the operating system. */
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

/** With fewer free bytes than this, SQLite cannot extend a file: the index of a write-ahead log grows by 32 KiB. */
const FULL_BELOW_BYTES = 128 * 1024;

/** Converts an error of SQLite or the file system about `file` to a coded error. Returns any other error unchanged. */
export function databaseError(file: string, error: unknown): unknown {
  if (error instanceof TidemarkError || !(error instanceof Error)) return error;
  const detail = error.message;
  const code = codeOf(String((error as { code?: unknown }).code ?? ''), detail);
  if (code === undefined) return error;
  // SQLite reports a full disk as an I/O error when it extends a file other than by a write.
  if (code === 'disk_full' || (code === 'db_unavailable' && isIoError(error) && isFull(file)))
    return new TidemarkError('disk_full', { detail: `writing ${file}` }, error);
  return new TidemarkError(code, hasDetail(code) ? { file, detail } : { file }, error);
}

function codeOf(code: string, message: string): ErrorCode | undefined {
  // better-sqlite3 itself reports a missing folder, with an error that has no code of SQLite.
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
