import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { TidemarkError } from '@tidemark/protocol/errors';
import { temporaryFolder } from '@tidemark/testing/temporary-folder';
import { expect, test } from 'vitest';
import { databaseError } from './database-error.ts';
import { guard, openWriter } from './sqlite.ts';

const FILE = 'branch.sqlite';
const reported = (code: string) => Object.assign(new Error('as the library says it'), { code });

/**
 * The expected code for each result code of SQLite, and for those of the operating system that a file can cause. Null:
 * the error does not concern the file.
 */
const EXPECTED: Record<string, string | null> = {
  SQLITE_ABORT: null,
  SQLITE_ABORT_ROLLBACK: null,
  SQLITE_AUTH: null,
  SQLITE_AUTH_USER: null,
  SQLITE_BUSY: 'db_in_use',
  SQLITE_BUSY_RECOVERY: 'db_in_use',
  SQLITE_BUSY_SNAPSHOT: 'db_in_use',
  SQLITE_BUSY_TIMEOUT: 'db_in_use',
  SQLITE_CANTOPEN: 'db_unavailable',
  SQLITE_CANTOPEN_CONVPATH: 'db_unavailable',
  SQLITE_CANTOPEN_DIRTYWAL: 'db_unavailable',
  SQLITE_CANTOPEN_FULLPATH: 'db_unavailable',
  SQLITE_CANTOPEN_ISDIR: 'db_unavailable',
  SQLITE_CANTOPEN_NOTEMPDIR: 'db_unavailable',
  SQLITE_CANTOPEN_SYMLINK: 'db_unavailable',
  SQLITE_CONSTRAINT: null,
  SQLITE_CONSTRAINT_CHECK: null,
  SQLITE_CONSTRAINT_COMMITHOOK: null,
  SQLITE_CONSTRAINT_DATATYPE: null,
  SQLITE_CONSTRAINT_FOREIGNKEY: null,
  SQLITE_CONSTRAINT_FUNCTION: null,
  SQLITE_CONSTRAINT_NOTNULL: null,
  SQLITE_CONSTRAINT_PINNED: null,
  SQLITE_CONSTRAINT_PRIMARYKEY: null,
  SQLITE_CONSTRAINT_ROWID: null,
  SQLITE_CONSTRAINT_TRIGGER: null,
  SQLITE_CONSTRAINT_UNIQUE: null,
  SQLITE_CONSTRAINT_VTAB: null,
  SQLITE_CORRUPT: 'db_damaged',
  SQLITE_CORRUPT_INDEX: 'db_damaged',
  SQLITE_CORRUPT_SEQUENCE: 'db_damaged',
  SQLITE_CORRUPT_VTAB: 'db_damaged',
  SQLITE_DONE: null,
  SQLITE_EMPTY: null,
  SQLITE_ERROR: null,
  SQLITE_ERROR_MISSING_COLLSEQ: null,
  SQLITE_ERROR_RETRY: null,
  SQLITE_ERROR_SNAPSHOT: null,
  SQLITE_FORMAT: null,
  SQLITE_FULL: 'disk_full',
  SQLITE_INTERNAL: null,
  SQLITE_INTERRUPT: null,
  SQLITE_IOERR: 'db_unavailable',
  SQLITE_IOERR_ACCESS: 'db_unavailable',
  SQLITE_IOERR_AUTH: 'db_unavailable',
  SQLITE_IOERR_BEGIN_ATOMIC: 'db_unavailable',
  SQLITE_IOERR_BLOCKED: 'db_unavailable',
  SQLITE_IOERR_CHECKRESERVEDLOCK: 'db_unavailable',
  SQLITE_IOERR_CLOSE: 'db_unavailable',
  SQLITE_IOERR_COMMIT_ATOMIC: 'db_unavailable',
  SQLITE_IOERR_CONVPATH: 'db_unavailable',
  SQLITE_IOERR_CORRUPTFS: 'db_damaged',
  SQLITE_IOERR_DATA: 'db_damaged',
  SQLITE_IOERR_DELETE: 'db_unavailable',
  SQLITE_IOERR_DELETE_NOENT: 'db_unavailable',
  SQLITE_IOERR_DIR_CLOSE: 'db_unavailable',
  SQLITE_IOERR_DIR_FSYNC: 'db_unavailable',
  SQLITE_IOERR_FSTAT: 'db_unavailable',
  SQLITE_IOERR_FSYNC: 'db_unavailable',
  SQLITE_IOERR_GETTEMPPATH: 'db_unavailable',
  SQLITE_IOERR_IN_PAGE: 'db_unavailable',
  SQLITE_IOERR_LOCK: 'db_unavailable',
  SQLITE_IOERR_MMAP: 'db_unavailable',
  SQLITE_IOERR_NOMEM: null,
  SQLITE_IOERR_RDLOCK: 'db_unavailable',
  SQLITE_IOERR_READ: 'db_unavailable',
  SQLITE_IOERR_ROLLBACK_ATOMIC: 'db_unavailable',
  SQLITE_IOERR_SEEK: 'db_unavailable',
  SQLITE_IOERR_SHMLOCK: 'db_unavailable',
  SQLITE_IOERR_SHMMAP: 'db_unavailable',
  SQLITE_IOERR_SHMOPEN: 'db_unavailable',
  SQLITE_IOERR_SHMSIZE: 'db_unavailable',
  SQLITE_IOERR_SHORT_READ: 'db_damaged',
  SQLITE_IOERR_TRUNCATE: 'db_unavailable',
  SQLITE_IOERR_UNLOCK: 'db_unavailable',
  SQLITE_IOERR_VNODE: 'db_unavailable',
  SQLITE_IOERR_WRITE: 'db_unavailable',
  SQLITE_LOCKED: null,
  SQLITE_LOCKED_SHAREDCACHE: null,
  SQLITE_LOCKED_VTAB: null,
  SQLITE_MISMATCH: null,
  SQLITE_MISUSE: null,
  SQLITE_NOLFS: 'db_unavailable',
  SQLITE_NOMEM: null,
  SQLITE_NOTADB: 'db_not_sqlite',
  SQLITE_NOTFOUND: null,
  SQLITE_NOTICE: null,
  SQLITE_NOTICE_RBU: null,
  SQLITE_NOTICE_RECOVER_ROLLBACK: null,
  SQLITE_NOTICE_RECOVER_WAL: null,
  SQLITE_OK: null,
  SQLITE_OK_LOAD_PERMANENTLY: null,
  SQLITE_OK_SYMLINK: null,
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
  SQLITE_ROW: null,
  SQLITE_SCHEMA: null,
  SQLITE_TOOBIG: null,
  SQLITE_WARNING: null,
  SQLITE_WARNING_AUTOINDEX: null,
  EACCES: 'db_read_only',
  ECONNRESET: null,
  EDQUOT: 'disk_full',
  EFBIG: 'db_unavailable',
  EIO: 'db_unavailable',
  EISDIR: 'db_is_directory',
  ENODEV: 'db_unavailable',
  ENOENT: 'db_unavailable',
  ENOLCK: 'db_unavailable',
  ENOSPC: 'disk_full',
  ENOTDIR: 'db_unavailable',
  EPERM: 'db_read_only',
  EROFS: 'db_read_only',
  ESTALE: 'db_unavailable',
  ETXTBSY: 'db_in_use',
  EXDEV: 'db_unavailable',
};

test('every result code that the SQLite binding can report has an expected code', () => {
  const binding = path.dirname(createRequire(import.meta.url).resolve('better-sqlite3'));
  const source = readFileSync(path.join(binding, '../src/util/constants.cpp'), 'utf8');
  const codes = [...source.matchAll(/SetCode\(env, SQLITE_\w+, "(SQLITE_\w+)"\)/g)].map(([, code]) => code ?? '');
  expect(codes.length).toBeGreaterThan(100);
  expect(codes.filter((code) => !(code in EXPECTED))).toEqual([]);
});

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

test.each([
  ['a schema that is not SQL', (bytes: Buffer) => bytes.write('DELETE', bytes.indexOf('CREATE'))],
  ['a schema format that does not exist', (bytes: Buffer) => bytes.writeUInt8(9, 47)],
  ['a text encoding that is not that of its text', (bytes: Buffer) => bytes.writeUInt8(2, 59)],
  ['a write version that does not exist', (bytes: Buffer) => bytes.writeUInt8(3, 18)],
])('a real file with %s is db_damaged', (_, damage) => {
  const file = path.join(temporaryFolder('database-error'), 'branch.sqlite');
  const db = openWriter(file, { synchronous: 'normal' });
  db.exec('CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT)');
  db.close();
  const bytes = readFileSync(file);
  damage(bytes);
  writeFileSync(file, bytes);
  const write = () => {
    const writer = openWriter(file, { synchronous: 'normal' });
    try {
      guard(file, () => writer.exec('CREATE TABLE more (id INTEGER PRIMARY KEY)'));
    } finally {
      writer.close();
    }
  };
  expect(write).toThrowError(expect.objectContaining({ code: 'db_damaged' }));
});

test('names the cause when a file was moved while it was open', () => {
  const { message } = databaseError(FILE, reported('SQLITE_READONLY_DBMOVED')) as TidemarkError;
  expect(message).toContain('moved or replaced');
});
