import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { TidemarkError } from '@tidemark/protocol/errors';
import { temporaryFolder } from '@tidemark/testing/temporary-folder';
import { afterEach, describe, expect, test } from 'vitest';
import { readCursorState } from '../cursor-state.ts';
import { checkFormat, ensureFormat, FORMAT_VERSION, requireFeed } from '../format.ts';
import { OWN_TABLES } from '../own-tables.ts';
import { openReader, openWriter, type Writer } from '../sqlite.ts';

const SAMPLES = path.join(import.meta.dirname, 'samples');
const samples = readdirSync(SAMPLES);

let db: Writer | undefined;
afterEach(() => db?.close());

function open(sample?: string): Writer {
  db = openWriter(path.join(temporaryFolder('migrations'), 'branch.sqlite'), { synchronous: 'normal' });
  if (sample) db.exec(readFileSync(path.join(SAMPLES, sample), 'utf8'));
  return db;
}

/** Returns the columns of our tables, by table, sorted by name. */
const columnsOf = (writer: Writer) =>
  OWN_TABLES.map((table) => [
    table,
    writer.prepare('SELECT name, type, "notnull", dflt_value, pk FROM pragma_table_info(?) ORDER BY name').all(table),
  ]);

type Columns = ReadonlyMap<string, readonly string[]>;

/** Names of the columns of our tables and of the feed's tables, by table. */
const columnNames = (writer: Writer): Columns =>
  new Map(
    [...OWN_TABLES, 'item', 'loose'].map((table) => [
      table,
      writer.prepare('SELECT name FROM pragma_table_info(?)').pluck().all(table) as string[],
    ]),
  );

/** Rows of these columns, by table. A migration may add columns, and keeps the values of all others. */
const contentOf = (writer: Writer, columns: Columns) =>
  [...columns].map(([table, names]) => [
    table,
    writer.prepare(`SELECT ${names.map((name) => `"${name}"`).join(', ')} FROM ${table} ORDER BY 1`).all(),
  ]);

describe('migrations', () => {
  test('have a sample of every format up to the current one', () => {
    const formats = new Set(samples.map((name) => Number(/^format-(\d+)/.exec(name)?.[1])));
    expect([...formats].sort()).toEqual(Array.from({ length: FORMAT_VERSION }, (_, n) => n + 1));
  });

  test.each(samples)('give %s the tables of a new file and keep its data', (sample) => {
    const fresh = open();
    ensureFormat(fresh, 'shop');
    const wanted = columnsOf(fresh);
    fresh.close();
    const old = open(sample);
    const columns = columnNames(old);
    const before = contentOf(old, columns);
    const cursor = readCursorState(old);
    expect(cursor).toMatchObject({ cursor: { epoch: 'abcdefgh', seq: 2 }, start: { seq: 2, part: 1 }, scopes: 'all' });

    ensureFormat(old, 'shop');

    expect(columnsOf(old)).toEqual(wanted);
    expect(contentOf(old, columns)).toEqual(before);
    expect(readCursorState(old)).toEqual(cursor);
    expect(checkFormat(old)).toBe(FORMAT_VERSION);
    expect(old.prepare('SELECT tables FROM tidemark_meta').pluck().get()).toBe('["item","loose"]');
  });

  test.each(samples)('migrate %s after a dump and restore removed its mark and version', (sample) => {
    const old = open(sample);
    old.pragma('application_id = 0');
    old.pragma('user_version = 0');
    ensureFormat(old, 'shop');
    expect(checkFormat(old)).toBe(FORMAT_VERSION);
    expect(readCursorState(old).cursor).toEqual({ epoch: 'abcdefgh', seq: 2 });
  });

  test.each(samples)('are not needed for reading %s', (sample) => {
    const old = open(sample);
    const reader = openReader(old.name);
    requireFeed(reader, 'shop');
    expect(readCursorState(reader).cursor).toEqual({ epoch: 'abcdefgh', seq: 2 });
    reader.close();
  });

  test('do not write to a file in the current format', () => {
    const current = open(`format-${FORMAT_VERSION}.sql`);
    const watcher = openReader(current.name);
    const version = watcher.pragma('data_version', { simple: true });
    ensureFormat(current, 'shop');
    expect(watcher.pragma('data_version', { simple: true })).toBe(version);
    watcher.close();
  });

  test('reject a newer format and leave the file unchanged', () => {
    const newer = open(`format-${FORMAT_VERSION}.sql`);
    newer.pragma(`user_version = ${FORMAT_VERSION + 1}`);
    expect(() => ensureFormat(newer, 'shop')).toThrowError(
      expect.objectContaining({ code: 'db_newer_version' } satisfies Partial<TidemarkError>),
    );
    expect(newer.pragma('user_version', { simple: true })).toBe(FORMAT_VERSION + 1);
  });
});
