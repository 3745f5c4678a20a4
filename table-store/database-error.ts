import { accessSync, closeSync, constants, existsSync, openSync, readSync, statfsSync } from 'node:fs';
import path from 'node:path';
import { type ErrorCode, TidemarkError } from '@tidemark/protocol/errors';

/**
 * Converts the errors that SQLite or the file system reports about a database file to our error codes.
 *
 * No other module may interpret their codes. An extended result code of SQLite has its own entry when its meaning
 * differs from that of its primary code. Codes without an entry (SQLITE_ERROR, SQLITE_CONSTRAINT, SQLITE_LOCKED and
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
  // A writer and a reader could not agree on the write-ahead log's index.
  SQLITE_PROTOCOL: 'db_in_use',
  SQLITE_CANTOPEN: 'db_unavailable',
  SQLITE_IOERR: 'db_unavailable',
  SQLITE_NOLFS: 'db_unavailable',
};

/** Our codes, by extended result code of SQLite, where they differ from those of the primary code. Null: not the file's. */
const EXTENDED: Readonly<Record<string, ErrorCode | null>> = {
  // The file was moved or replaced while it was open.
  SQLITE_READONLY_DBMOVED: 'db_unavailable',
  SQLITE_IOERR_CORRUPTFS: 'db_damaged',
  SQLITE_IOERR_DATA: 'db_damaged',
  // The file is shorter than it was.
  SQLITE_IOERR_SHORT_READ: 'db_damaged',
  SQLITE_IOERR_NOMEM: null,
};

/** Details for people, where SQLite's message does not name the cause. */
const DETAILS: Readonly<Record<string, string>> = {
  SQLITE_READONLY_DBMOVED: 'it was moved or replaced while it was open',
  SQLITE_IOERR_SHORT_READ: 'it is shorter than it was',
};

/** Our codes, by error code of the operating system. */
const FILE_SYSTEM: Readonly<Record<string, ErrorCode>> = {
  ENOSPC: 'disk_full',
  EDQUOT: 'disk_full',
  EACCES: 'db_read_only',
  EPERM: 'db_read_only',
  EROFS: 'db_read_only',
  EBUSY: 'db_in_use',
  ETXTBSY: 'db_in_use',
  // The file system or a limit of the account does not permit a file of this size.
  EFBIG: 'db_unavailable',
  EIO: 'db_unavailable',
  EISDIR: 'db_is_directory',
  ELOOP: 'db_unavailable',
  EMFILE: 'db_unavailable',
  ENAMETOOLONG: 'db_unavailable',
  ENFILE: 'db_unavailable',
  ENODEV: 'db_unavailable',
  ENOENT: 'db_unavailable',
  ENOLCK: 'db_unavailable',
  ENOTDIR: 'db_unavailable',
  ENXIO: 'db_unavailable',
  ESTALE: 'db_unavailable',
  EXDEV: 'db_unavailable',
};

/** With fewer free bytes than this, SQLite cannot extend a file: the index of a write-ahead log grows by 32 KiB. */
const FULL_BELOW_BYTES = 128 * 1024;

/** SQLite accepts up to this version of the file format, for reading and for writing. */
const MOST_WRITE_VERSION = 2;
const WRITE_VERSION_AT = 18;

/** Converts an error of SQLite or the file system about `file` to a coded error. Returns any other error unchanged. */
export function databaseError(file: string, error: unknown): unknown {
  if (error instanceof TidemarkError || !(error instanceof Error)) return error;
  const reported = String((error as { code?: unknown }).code ?? '');
  const code = codeOf(file, reported, error.message);
  if (code === null) return error;
  // SQLite reports a full disk as an I/O error when it extends a file other than by a write.
  if (code === 'disk_full' || (reported.startsWith('SQLITE_IOERR') && code === 'db_unavailable' && isFull(file))) {
    const what = isFull(file) ? `writing ${file}` : `writing ${file} or a temporary file`;
    return new TidemarkError('disk_full', { detail: what }, error);
  }
  const detail = DETAILS[reported] ?? error.message;
  return new TidemarkError(code, hasDetail(code) ? { file, detail } : { file }, error);
}

/** Returns our code for an error. Null: it does not concern the file. */
function codeOf(file: string, code: string, message: string): ErrorCode | null {
  // better-sqlite3 itself reports a missing folder, with an error that has no code of SQLite.
  if (message.startsWith('Cannot open database')) return 'db_unavailable';
  // The number of the schema's format in the header is not one that SQLite has ever written.
  if (code === 'SQLITE_ERROR' && message === 'unsupported file format') return 'db_damaged';
  if (code === 'SQLITE_READONLY' && forbidsWriting(file)) return 'db_damaged';
  // The file exists, so SQLite failed to create its write-ahead log beside it.
  if (code === 'SQLITE_CANTOPEN' && existsSync(file) && !isWritable(path.dirname(file))) return 'db_read_only';
  const primary = /^SQLITE_[A-Z]+/.exec(code)?.[0] ?? '';
  return EXTENDED[code] === undefined ? (PRIMARY[primary] ?? FILE_SYSTEM[code] ?? null) : EXTENDED[code];
}

/** Whether the header of a file requires a newer SQLite to write it, which no program that uses our files has. */
function forbidsWriting(file: string): boolean {
  try {
    const descriptor = openSync(file, 'r');
    try {
      const version = Buffer.alloc(1);
      readSync(descriptor, version, 0, 1, WRITE_VERSION_AT);
      return version.readUInt8() > MOST_WRITE_VERSION;
    } finally {
      closeSync(descriptor);
    }
  } catch {
    return false;
  }
}

const hasDetail = (code: ErrorCode) => code === 'db_damaged' || code === 'db_unavailable';

function isWritable(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

function isFull(file: string): boolean {
  try {
    const disk = statfsSync(path.dirname(file));
    return disk.bavail * disk.bsize < FULL_BELOW_BYTES;
  } catch {
    return false;
  }
}
