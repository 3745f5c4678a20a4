import { statSync } from 'node:fs';
import path from 'node:path';
import { temporaryFolder } from '@tidemark/testing/temporary-folder';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Replica } from '../replica.ts';
import { largeLogOf } from './write-ahead-log.ts';

/** Another program reads in a transaction while the write-ahead log grows. */

let file: string;
let replica: Replica;
/** Another program's connection that writes to a table of its own. */
let other: Database.Database;
let reader: Database.Database;

beforeEach(() => {
  file = path.join(temporaryFolder('log'), 'branch.sqlite');
  replica = Replica.open(file, 'shop');
  other = new Database(file);
  other.exec('CREATE TABLE other (n INTEGER PRIMARY KEY, a TEXT)');
  reader = new Database(file);
});
afterEach(() => {
  for (const db of [reader, other]) db.close();
  replica.close();
});

/** Writes 4 MB in each of `count` transactions. */
function write(count: number): void {
  const insert = other.prepare('INSERT OR REPLACE INTO other VALUES (?, ?)');
  const commit = other.transaction(() => {
    for (let n = 0; n < 1000; n++) insert.run(n, 'x'.repeat(4000));
  });
  for (let n = 0; n < count; n++) commit();
}

const logBytes = () => statSync(`${file}-wal`).size;

test('reader-in-transaction: a large log is reported with the first check that saw it, until the reader ends', () => {
  write(1);
  expect(replica.checkLog(1000)).toBeNull();
  reader.exec('BEGIN');
  reader.prepare('SELECT count(*) FROM other').get();
  write(12);
  expect(replica.checkLog(2000)).toMatchObject({ file: `${file}-wal`, bytes: logBytes(), heldSince: 2000 });
  write(2);
  expect(replica.checkLog(3000)).toMatchObject({ bytes: logBytes(), heldSince: 2000 });
  expect(logBytes()).toBeGreaterThan(54_000_000);

  reader.exec('COMMIT');
  expect(replica.checkLog(4000)).toBeNull();
  expect(logBytes()).toBe(0);
  expect(other.prepare('SELECT count(*) FROM other').pluck().get()).toBe(1000);
});

test('another reader after the first one: only the time of the present one is reported', () => {
  reader.exec('BEGIN');
  reader.prepare('SELECT count(*) FROM other').get();
  write(10);
  expect(replica.checkLog(1000)).toMatchObject({ heldSince: 1000 });
  const second = new Database(file, { readonly: true });
  second.exec('BEGIN');
  second.prepare('SELECT count(*) FROM other').get();
  reader.exec('COMMIT');
  write(1);
  expect(replica.checkLog(2000)).toMatchObject({ heldSince: 2000 });
  second.close();
  expect(replica.checkLog(3000)).toBeNull();
});

test('a large log without a reader is emptied, and the file of a program that only looks stays unchanged', () => {
  other.pragma('wal_autocheckpoint = 0');
  write(10);
  const before = logBytes();
  expect(largeLogOf(file)).toEqual({ file: `${file}-wal`, bytes: before, heldSince: null });
  expect(logBytes()).toBe(before);
  expect(replica.checkLog(1000)).toBeNull();
  expect(largeLogOf(file)).toBeNull();
});

test('a check does not wait for a program that writes, and does not call it a reader', () => {
  other.pragma('wal_autocheckpoint = 0');
  write(10);
  other.exec('BEGIN IMMEDIATE; DELETE FROM other WHERE n = 1');
  const started = performance.now();
  expect(replica.checkLog(1000)).toBeNull();
  expect(performance.now() - started).toBeLessThan(4000);
  other.exec('ROLLBACK');
});
