import { TidemarkError } from '@tidemark/protocol/errors';
import { expect, test } from 'vitest';
import { databaseError } from './database-error.ts';

const FILE = 'branch.sqlite';
const reported = (code: string) => Object.assign(new Error('as the library says it'), { code });

/**
 * The expected code for each primary result code of SQLite, and for the extended ones that a file can cause. Null: the
 * error does not concern the file.
 */
const EXPECTED: Record<string, string | null> = {
  SQLITE_ABORT: null,
  SQLITE_ABORT_ROLLBACK: null,
  SQLITE_AUTH: null,
  SQLITE_BUSY: 'db_in_use',
  SQLITE_BUSY_RECOVERY: 'db_in_use',
  SQLITE_BUSY_SNAPSHOT: 'db_in_use',
  SQLITE_BUSY_TIMEOUT: 'db_in_use',
  SQLITE_CANTOPEN: 'db_unavailable',
  SQLITE_CANTOPEN_CONVPATH: 'db_unavailable',
  SQLITE_CANTOPEN_FULLPATH: 'db_unavailable',
  SQLITE_CANTOPEN_ISDIR: 'db_unavailable',
  SQLITE_CANTOPEN_SYMLINK: 'db_unavailable',
  SQLITE_CONSTRAINT: null,
  SQLITE_CONSTRAINT_UNIQUE: null,
  SQLITE_CORRUPT: 'db_damaged',
  SQLITE_CORRUPT_INDEX: 'db_damaged',
  SQLITE_CORRUPT_SEQUENCE: 'db_damaged',
  SQLITE_CORRUPT_VTAB: 'db_damaged',
  SQLITE_EMPTY: null,
  SQLITE_ERROR: null,
  SQLITE_ERROR_SNAPSHOT: null,
  SQLITE_FORMAT: null,
  SQLITE_FULL: 'disk_full',
  SQLITE_INTERNAL: null,
  SQLITE_INTERRUPT: null,
  SQLITE_IOERR: 'db_unavailable',
  SQLITE_IOERR_ACCESS: 'db_unavailable',
  SQLITE_IOERR_CORRUPTFS: 'db_damaged',
  SQLITE_IOERR_DATA: 'db_damaged',
  SQLITE_IOERR_FSYNC: 'db_unavailable',
  SQLITE_IOERR_READ: 'db_unavailable',
  SQLITE_IOERR_SHMMAP: 'db_unavailable',
  SQLITE_IOERR_SHMSIZE: 'db_unavailable',
  SQLITE_IOERR_SHORT_READ: 'db_unavailable',
  SQLITE_IOERR_TRUNCATE: 'db_unavailable',
  SQLITE_IOERR_WRITE: 'db_unavailable',
  SQLITE_LOCKED: 'db_in_use',
  SQLITE_LOCKED_SHAREDCACHE: 'db_in_use',
  SQLITE_MISMATCH: null,
  SQLITE_MISUSE: null,
  SQLITE_NOLFS: 'db_unavailable',
  SQLITE_NOMEM: null,
  SQLITE_NOTADB: 'db_not_sqlite',
  SQLITE_NOTFOUND: null,
  SQLITE_NOTICE: null,
  SQLITE_PERM: 'db_read_only',
  SQLITE_PROTOCOL: 'db_in_use',
  SQLITE_RANGE: null,
  SQLITE_READONLY: 'db_read_only',
  SQLITE_READONLY_CANTINIT: 'db_read_only',
  SQLITE_READONLY_CANTLOCK: 'db_read_only',
  SQLITE_READONLY_DBMOVED: 'db_unavailable',
  SQLITE_READONLY_DIRECTORY: 'db_read_only',
  SQLITE_READONLY_RECOVERY: 'db_read_only',
  SQLITE_READONLY_ROLLBACK: 'db_read_only',
  SQLITE_SCHEMA: null,
  SQLITE_TOOBIG: null,
  SQLITE_WARNING: null,
  EACCES: 'db_read_only',
  EDQUOT: 'disk_full',
  EIO: 'db_unavailable',
  EISDIR: 'db_is_directory',
  ENOENT: 'db_unavailable',
  ENOSPC: 'disk_full',
  ENOTDIR: 'db_unavailable',
  EPERM: 'db_read_only',
  EROFS: 'db_read_only',
  ECONNRESET: null,
};

test.each(Object.entries(EXPECTED))('%s is %s', (code, expected) => {
  const error = reported(code);
  const coded = databaseError(FILE, error);
  if (expected === null) expect(coded).toBe(error);
  else {
    expect(coded).toBeInstanceOf(TidemarkError);
    expect(coded).toMatchObject({ code: expected, cause: error });
    expect((coded as TidemarkError).message).not.toContain('?');
  }
});

test('a missing folder is db_unavailable, although the library reports no code', () => {
  const error = new TypeError('Cannot open database because the directory does not exist');
  expect(databaseError(FILE, error)).toMatchObject({ code: 'db_unavailable' });
});

test('returns a coded error, or a value that is not an Error, unchanged', () => {
  const coded = new TidemarkError('page_corrupt');
  expect(databaseError(FILE, coded)).toBe(coded);
  expect(databaseError(FILE, 'text')).toBe('text');
});
