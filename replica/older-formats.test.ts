import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { openWriter } from '@tidemark/table-store/sqlite';
import { temporaryFolder } from '@tidemark/testing/temporary-folder';
import { rowsOf } from '@tidemark/testing/test-mirror';
import { expect, test } from 'vitest';
import { verifyPage } from './pages/page-reader.ts';
import { Replica } from './replica.ts';

const SAMPLES = path.join(import.meta.dirname, '../table-store/migrations/samples');

/** The page that completes the transaction whose first part is in the spool of the samples. */
function lastPart(): Buffer {
  const header = { tidemark: 1, feed: 'shop', epoch: 'abcdefgh', scopes: 'all', start: { seq: 2, part: 1 }, target: 3 };
  const schema = /INSERT INTO tidemark_table VALUES\(1,'item','(.*)',2\)/.exec(
    readFileSync(path.join(SAMPLES, 'format-1.sql'), 'utf8'),
  );
  const lines = [header, ['s', 1, JSON.parse(schema?.[1] ?? '')], ['d', 1, [[1]]], ['c', 3, 2]];
  const body = lines.map((line) => `${JSON.stringify(line)}\n`).join('');
  const sha256 = createHash('sha256').update(body).digest('hex');
  return Buffer.from(`${body}${JSON.stringify({ next: { seq: 3, part: 0 }, changes: 1, sha256 })}\n`);
}

test.each(readdirSync(SAMPLES))(
  'a replica of %s opens, keeps its history, and resumes a spooled transaction',
  (sample) => {
    const file = path.join(temporaryFolder('older-formats'), 'branch.sqlite');
    const old = openWriter(file, { synchronous: 'normal' });
    old.exec(readFileSync(path.join(SAMPLES, sample), 'utf8'));
    old.close();

    const replica = Replica.open(file, 'shop');
    try {
      expect(replica.alteredTables()).toEqual([]);
      expect(replica.tables()).toEqual([
        { name: 'item', rows: 2 },
        { name: 'loose', rows: 2 },
      ]);
      expect(replica.summary().lastSuccess?.id).toBe('r1');
      expect(replica.history.samples(0)).toHaveLength(1);
      const compacted = replica.spool.compactionTarget() !== null;
      expect(replica.applyPage(verifyPage(lastPart()), { compacted })).toMatchObject({
        cursor: { seq: 3 },
        changes: 2,
      });
      expect(replica.spool.sizeBytes()).toBe(0);
    } finally {
      replica.close();
    }
    const after = openWriter(file, { synchronous: 'normal' });
    expect(rowsOf(after, 'item')).toEqual([
      [2, 'fig', 2.25],
      [3, 'plum', null],
    ]);
    after.close();
  },
);
