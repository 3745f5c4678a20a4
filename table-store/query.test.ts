import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { TidemarkError } from '@tidemark/protocol/errors';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { BLOB, exists, INTEGER, orNull, ownQuery, query, RAW_ROW, row, SEQ, TEXT, value } from './query.ts';
import { openWriter, type Writer } from './sqlite.ts';

const PART = row({ id: INTEGER, name: orNull(TEXT), body: orNull(BLOB) });
const ALL = 'SELECT id, name, body FROM part ORDER BY id';

let folder: string;
let db: Writer;

beforeEach(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'tidemark-query-'));
  db = openWriter(path.join(folder, 'parts.sqlite'), { synchronous: 'normal' });
  db.exec("CREATE TABLE part (id, name, body); INSERT INTO part VALUES (1, 'cog', x'00ff'), (2, NULL, NULL)");
});

afterEach(() => {
  db.close();
  rmSync(folder, { recursive: true, force: true });
});

function problem(work: () => unknown): { code: string; detail: string } {
  try {
    work();
  } catch (error) {
    const { code, params } = error as TidemarkError;
    return { code, detail: String(params.detail) };
  }
  throw new Error('it did not throw');
}

describe('a query', () => {
  test('returns objects of the stated shape', () => {
    expect(query(db, ALL, PART).all()).toEqual([
      { id: 1, name: 'cog', body: Buffer.from([0, 255]) },
      { id: 2, name: null, body: null },
    ]);
    expect(query(db, ALL, PART).get()?.name).toBe('cog');
    expect([...query(db, ALL, PART).iterate()].map(({ id }) => id)).toEqual([1, 2]);
  });

  test('returns one value, or all columns unchecked with exact integers', () => {
    db.exec('UPDATE part SET name = 9007199254740993 WHERE id = 2');
    expect(query(db, 'SELECT id FROM part ORDER BY id', value(SEQ)).all()).toEqual([1, 2]);
    expect(query(db, ALL, RAW_ROW).all()[1]).toEqual([2n, 9007199254740993n, null]);
  });

  test('does not share a statement with the same SQL in another mode', () => {
    expect(query(db, ALL, value(INTEGER)).all()).toEqual([1, 2]);
    expect(query(db, ALL, PART).all()).toHaveLength(2);
    expect(query(db, ALL, value(INTEGER)).get()).toBe(1);
  });

  test('allows nested loops over the same SQL when each loop has its own query', () => {
    const pairs: number[][] = [];
    for (const a of ownQuery(db, ALL, value(INTEGER)).iterate())
      for (const b of ownQuery(db, ALL, value(INTEGER)).iterate()) pairs.push([a, b]);
    expect(pairs).toHaveLength(4);
  });

  test('is free again when a loop ends early', () => {
    for (const id of query(db, ALL, value(INTEGER)).iterate()) if (id === 1) break;
    expect(query(db, ALL, value(INTEGER)).all()).toEqual([1, 2]);
  });

  test('returns NULL from one() as a value, not as a missing row', () => {
    expect(query(db, 'SELECT name FROM part WHERE id = 2', value(orNull(TEXT))).one()).toBeNull();
  });

  test('reports whether a row exists', () => {
    expect(exists(db, 'SELECT NULL FROM part WHERE id = ?', 2)).toBe(true);
    expect(exists(db, 'SELECT NULL FROM part WHERE id = ?', 3)).toBe(false);
  });
});

describe('a query throws db_damaged', () => {
  test('and names the column when a row has another shape', () => {
    db.exec("UPDATE part SET id = 'two' WHERE id = 2");
    const { code, detail } = problem(() => query(db, ALL, PART).all());
    expect(code).toBe('db_damaged');
    expect(detail).toContain('id is not an integer: string');
  });

  test('when an integer does not fit a number', () => {
    db.exec('UPDATE part SET id = 9007199254740993 WHERE id = 2');
    expect(problem(() => query(db, ALL, PART).all()).code).toBe('db_damaged');
  });

  test('when the SQL does not return the column', () => {
    expect(problem(() => query(db, 'SELECT id, name FROM part', PART).get()).detail).toContain('body is not a blob');
  });

  test('when a row that must exist is missing', () => {
    const none = query(db, 'SELECT id FROM part WHERE id = 7', value(INTEGER));
    expect(none.get()).toBeUndefined();
    expect(problem(() => none.one()).detail).toContain('a row is missing');
  });
});
