import { copyFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import type { PageStart } from '@tidemark/protocol/cursor';
import { verifyPage } from '@tidemark/replica/page-reader';
import { Replica } from '@tidemark/replica/replica';
import { readToken } from '@tidemark/testing/test-relay';
import Database from 'better-sqlite3';
import { inTurn, type Result, seconds, thousands } from './lib.ts';
import { type Office, ROWS } from './office.ts';

/** Returns all pages of the log after the empty base copy, uncompressed. */
async function pages(office: Office): Promise<Buffer[]> {
  const { head } = await office.system.status();
  const token = readToken(office.system.tokenFile('branch-7'));
  const all: Buffer[] = [];
  let start: PageStart = { seq: 1 as PageStart['seq'], part: 0 };
  while (start.seq < (head?.seq ?? 0)) {
    const at = start.part === 0 ? String(start.seq) : `${start.seq}.${start.part}`;
    const answer = await fetch(`${office.system.url}/v1/feeds/shop/pages/${head?.epoch}/all/${at}/${head?.seq}`, {
      headers: { authorization: `Bearer ${token}`, 'accept-encoding': 'identity' },
    });
    const page = Buffer.from(await answer.arrayBuffer());
    if (!answer.ok) throw new Error(page.toString().slice(0, 500));
    all.push(page);
    start = verifyPage(page).trailer.next;
  }
  return all;
}

/**
 * The limit: plain better-sqlite3 parses the same pages and inserts 50 rows per statement, one transaction per page.
 */
function plain(file: string, pages: Buffer[]): void {
  const db = new Database(file);
  db.pragma('journal_mode = WAL');
  db.pragma('synchronous = NORMAL');
  db.exec('CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT, amount NUMERIC, at TEXT, note TEXT)');
  const sql = (rows: number) => `INSERT INTO item VALUES ${new Array(rows).fill('(?,?,?,?,?)').join(',')}`;
  const many = db.prepare(sql(50));
  const one = db.prepare(sql(1));
  for (const page of pages) {
    db.exec('BEGIN');
    for (const text of page.toString().split('\n')) {
      if (!text.startsWith('["i"')) continue;
      const rows = (JSON.parse(text) as [string, number, unknown[][]])[2];
      let at = 0;
      for (; at + 50 <= rows.length; at += 50) many.run(rows.slice(at, at + 50).flat());
      for (; at < rows.length; at++) one.run(rows[at] as unknown[]);
    }
    db.exec('COMMIT');
  }
  db.close();
}

/** Measures how fast the terminal applies pages, in rows/s. */
export async function benchApply(office: Office): Promise<Result> {
  const all = await pages(office);
  const ours = path.join(office.folder, 'apply.sqlite');
  const limit = path.join(office.folder, 'plain.sqlite');
  const clear = (file: string) => {
    for (const suffix of ['', '-wal', '-shm', '-lock']) rmSync(file + suffix, { force: true });
  };
  const rate = await inTurn(
    async () => {
      clear(ours);
      copyFileSync(office.empty, ours);
      const replica = Replica.open(ours, 'shop');
      const elapsed = await seconds(async () => {
        for (const page of all) replica.applyPage(verifyPage(page));
      });
      replica.close();
      return ROWS / elapsed;
    },
    async () => {
      clear(limit);
      return ROWS / (await seconds(async () => plain(limit, all)));
    },
  );
  const ratio = rate.ours / rate.limit;
  return {
    what: 'apply pages at the terminal, rows/s',
    ours: thousands(rate.ours),
    limit: `plain better-sqlite3, 50-row VALUES: ${thousands(rate.limit)}`,
    ratio: ratio.toFixed(2),
    reach: '≥ 0.80',
    met: ratio >= 0.8,
  };
}
