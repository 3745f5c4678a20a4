import { rmSync } from 'node:fs';
import path from 'node:path';
import type { ChangeLine, WireRow } from '@tidemark/protocol/lines';
import type { TableSchema } from '@tidemark/protocol/schema';
import { temporaryFolder } from '@tidemark/testing/temporary-folder';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { NetRows } from './net-rows.ts';

const LOG: TableSchema = {
  name: 'log',
  columns: [
    { name: 'at', type: 'integer', source: 'int' },
    { name: 'what', type: 'text', source: 'text' },
  ],
  key: [],
};

let folder: string;
let files = 0;
beforeEach(() => {
  folder = temporaryFolder('net');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Returns the net changes of one table's lines, as lines. */
function net(lines: ChangeLine[], schema: TableSchema): ChangeLine[] {
  const rows = new NetRows(path.join(folder, String(files++)));
  try {
    for (const line of lines) if (!rows.addLine(line, schema)) throw new Error(`rejected: ${line[0]}`);
    return rows
      .tables()
      .flatMap(({ id, truncated }): ChangeLine[] => [
        ...(truncated ? [['t', id] as ChangeLine] : []),
        ...rows
          .changes(id)
          .map(({ kind, rows: net }): ChangeLine => [kind, id, [...net].map((row) => JSON.parse(row))]),
      ]);
  } finally {
    rows.close();
  }
}

/** Applies lines to a multiset of rows. */
function replay(before: WireRow[], lines: ChangeLine[]): string[] {
  const rows = before.map((row) => JSON.stringify(row));
  for (const line of lines) {
    if (line[0] === 't') rows.length = 0;
    if (line[0] === 'i') rows.push(...line[2].map((row) => JSON.stringify(row)));
    if (line[0] !== 'd') continue;
    for (const row of line[2]) {
      const at = rows.indexOf(JSON.stringify(row));
      if (at === -1) throw new Error(`the deleted row does not exist: ${JSON.stringify(row)}`);
      rows.splice(at, 1);
    }
  }
  return rows.sort();
}

test('Q1 keyless: net changes of a keyless table produce the same multiset of rows as the original lines', () => {
  const row = fc.tuple(fc.integer({ min: 0, max: 3 }), fc.constantFrom('a', null)).map((cells): WireRow => [...cells]);
  const steps = fc.array(fc.tuple(fc.integer({ min: 0, max: 9 }), fc.array(row, { maxLength: 4 })), { maxLength: 12 });
  fc.assert(
    fc.property(fc.array(row, { maxLength: 6 }), steps, (before, wanted) => {
      const lines: ChangeLine[] = [];
      for (const [kind, rows] of wanted) {
        const now = replay(before, lines);
        if (kind === 0) lines.push(['t', 1]);
        else if (kind < 5) lines.push(['i', 1, rows]);
        // Delete some of the current rows.
        else lines.push(['d', 1, now.filter((_, i) => i % 2 === kind % 2).map((text) => JSON.parse(text) as WireRow)]);
      }
      expect(replay(before, net(lines, LOG))).toEqual(replay(before, lines));
    }),
    { numRuns: 150 },
  );
});

test('Q2 rejects replaced, dropped and altered tables, and updates of keyless tables', () => {
  const rows = new NetRows(path.join(folder, 'net'));
  try {
    expect(rows.addLine(['r', 1], LOG)).toBe(false);
    expect(rows.addLine(['x', 'log'], LOG)).toBe(false);
    expect(rows.addLine(['a', 2, 1, ['at', null]], LOG)).toBe(false);
    expect(rows.addLine(['u', 1, [[1, 'x']]], LOG)).toBe(false);
  } finally {
    rows.close();
  }
});

test('Q1 recognises a key in any line: after a truncate, with a delete first, and with reordered key columns', () => {
  const keyed: TableSchema = { ...LOG, key: ['what', 'at'] };
  const line = (text: string) => JSON.parse(text) as ChangeLine;
  const lines = [
    line('["u",1,[[1.0,"a"],[2,"b"]]]'),
    line('["d",1,[["a",1]]]'),
    line('["i",1,[[1,"a"],[3,"c"]]]'),
    line('["d",1,[["c",3],["b",2]]]'),
  ];
  expect(net(lines, keyed)).toEqual([
    ['d', 1, [['b', 2]]],
    ['u', 1, [[1, 'a']]],
    ['i', 1, []],
  ]);
  expect(net([...lines, ['t', 1], line('["i",1,[[2,"b"]]]')], keyed)).toEqual([
    ['t', 1],
    ['d', 1, []],
    ['u', 1, []],
    ['i', 1, [[2, 'b']]],
  ]);
});
