import type { SnapshotManifest } from '@tidemark/protocol/api';
import { describe, expect, test } from 'vitest';
import { ComparisonProgress, PageProgress, RepairProgress, SnapshotProgress } from './progress.ts';

const NOW = 1_000_000;
const manifest = {
  rows: 300,
  tables: [
    { name: 'item', rows: 100 },
    { name: 'sale', rows: 200 },
  ],
} as SnapshotManifest;

describe('the progress of pages', () => {
  test('counts changes and bytes, and never shows more changes than the total', () => {
    const progress = new PageProgress({ changes: 10, bytes: 100 }, 0, NOW);
    progress.addPage({ transactions: 1, table: 'item' }, { changes: 6, bytes: 60 }, NOW);
    expect(progress.read(NOW)).toMatchObject({ done: 6, total: 10, bytes: 60, bytesTotal: 100, table: 'item' });
    progress.addPage({ transactions: 1, table: null }, { changes: 6, bytes: 50 }, NOW);
    expect(progress.read(NOW)).toMatchObject({ done: 10, bytes: 110, table: 'item' });
  });

  test('counts pages of an earlier run in proportion to their bytes', () => {
    const progress = new PageProgress({ changes: 0, bytes: 0 }, 50, NOW);
    progress.setTotals({ changes: 10, bytes: 100 });
    expect(progress.read(NOW)).toMatchObject({ done: 5, bytes: 50 });
  });

  // The parts of a large transaction arrive first and are written with the last one, so the test counts written
  // changes.
  test('counts written changes while kept parts are applied', () => {
    const progress = new PageProgress({ changes: 30, bytes: 300 }, 0, NOW);
    progress.addPage({ transactions: 1, table: 'item' }, { changes: 10, bytes: 100 }, NOW);
    progress.addPage({ transactions: 0, table: null }, { changes: 10, bytes: 100 }, NOW);
    progress.addWritten(0, NOW);
    expect(progress.read(NOW).done).toBe(10);
    progress.addWritten(7, NOW);
    expect(progress.read(NOW).done).toBe(17);
    progress.addPage({ transactions: 1, table: 'item' }, { changes: 10, bytes: 100 }, NOW);
    expect(progress.read(NOW).done).toBe(30);
  });
});

test('a snapshot shows the table that contains the estimated row', () => {
  const progress = new SnapshotProgress(manifest, 0, 1000, NOW);
  expect(progress.read(NOW)).toMatchObject({ done: 0, total: 300, table: 'item', tableIndex: 1, tableCount: 2 });
  progress.setHere(500, NOW);
  expect(progress.read(NOW)).toMatchObject({ done: 150, bytes: 500, bytesTotal: 1000, table: 'sale', tableIndex: 2 });
  progress.setHere(1000, NOW);
  expect(progress.read(NOW)).toMatchObject({ done: 300, table: 'sale' });
});

test('a comparison counts rows of the replica, and a repair counts rows that differed', () => {
  const comparison = new ComparisonProgress(manifest, NOW);
  expect(comparison.read(NOW)).toMatchObject({ table: null, tableIndex: 0 });
  comparison.addRows('sale', 120, NOW);
  expect(comparison.read(NOW)).toMatchObject({ done: 120, total: 300, table: 'sale', tableIndex: 2 });
  const repair = new RepairProgress([{ table: 'item', missing: 1, extra: 2, different: 3 }]);
  expect(repair.read()).toMatchObject({ done: 0, total: 6, tableCount: 1 });
  repair.finish();
  expect(repair.read().done).toBe(6);
});
