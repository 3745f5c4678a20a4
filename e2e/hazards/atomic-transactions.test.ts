import { RelayStatus } from '@tidemark/protocol/api';
import { verifyPage } from '@tidemark/replica/page-reader';
import { Replica } from '@tidemark/replica/replica';
import { run, start, until } from '@tidemark/testing/processes';
import Database from 'better-sqlite3';
import { describe, expect, test } from 'vitest';
import { args, database, pull, relay, rows, seqHere, useTerminal } from './terminal-lab.ts';

/** The terminal shows each transaction of the master completely or not at all. */

useTerminal();

/** A trigger statement that never ends. The terminal keeps triggers of other programs, so its apply never completes. */
const ENDLESS =
  'SELECT count(*) FROM (WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n)';

function inFile<T>(work: (db: Database.Database) => T): T {
  const db = new Database(database(), { timeout: 1000 });
  try {
    return work(db);
  } finally {
    db.close();
  }
}

/** Reports whether another connection holds the write lock for longer than a second. */
const isWriting = () =>
  inFile((db) => {
    try {
      db.exec('BEGIN IMMEDIATE; ROLLBACK');
      return false;
    } catch (error) {
      if ((error as { code?: string }).code === 'SQLITE_BUSY') return true;
      throw error;
    }
  });

describe('transactions', () => {
  test('S5 oversized-transaction: readers see a transaction that spans pages completely or not at all, even after a kill', async () => {
    await relay.base(10);
    expect((await pull()).outcome).toBe('done');
    const before = rows();
    await relay.commit(
      'i',
      Array.from({ length: 60_000 }, (_, i) => [100 + i, `row ${i} ${'x'.repeat(60)}`]),
    );
    const { head } = RelayStatus.parse(await (await relay.get('/v1/feeds/shop/status')).json());
    const epoch = head?.epoch ?? '';
    let replica = Replica.open(database(), 'shop');
    const first = replica.applyPage(verifyPage(await relay.page(epoch, '1', 2)));
    expect(first.start.part).toBeGreaterThan(0);
    expect(first).toMatchObject({ cursor: { seq: 1 }, transactions: 0, changes: 0 });
    replica.applyPage(verifyPage(await relay.page(epoch, `1.${first.start.part}`, 2)));
    expect(rows()).toEqual(before);
    replica.close();
    // The state is that after a kill: the spooled part is present, but readers do not see it.
    replica = Replica.open(database(), 'shop');
    expect(replica.cursorState().start.part).toBeGreaterThan(first.start.part);
    replica.close();
    expect((await pull()).outcome).toBe('done');
    expect(rows()).toHaveLength(60_010);
    expect(seqHere()).toBe(2);
  });

  test('S6 readers see the state either before or after a page, and are never blocked', async () => {
    await relay.base(1000, () => 'v0');
    expect((await pull()).outcome).toBe('done');
    const reader = new Database(database(), { readonly: true });
    const seen = reader.prepare('SELECT count(DISTINCT name) AS kinds, min(name) AS name FROM item');
    for (let n = 1; n <= 3; n++) {
      await relay.commit(
        'u',
        Array.from({ length: 1000 }, (_, i) => [i + 1, `v${n}`]),
      );
      const pulling = pull();
      let looks = 0;
      let done = false;
      void pulling.then(() => {
        done = true;
      });
      while (!done) {
        const { kinds, name } = seen.get() as { kinds: number; name: string };
        expect(kinds).toBe(1);
        expect([`v${n - 1}`, `v${n}`]).toContain(name);
        looks++;
        await new Promise((resolve) => setImmediate(resolve));
      }
      expect(looks).toBeGreaterThan(0);
      expect(seen.get()).toEqual({ kinds: 1, name: `v${n}` });
    }
    reader.close();
  });

  test.each([
    ['S6: one page', 2000, false],
    ['S5: the spooled parts of a transaction', 60_000, true],
  ])(
    '%s: a terminal killed during the apply keeps the previous state, and the next pull applies the rows once',
    async (_, count, spooled) => {
      await relay.base(10);
      expect((await pull()).outcome).toBe('done');
      const before = rows();
      inFile((db) =>
        db.exec(`CREATE TRIGGER endless AFTER INSERT ON item WHEN new.id = ${100 + count / 2} BEGIN ${ENDLESS}; END`),
      );
      await relay.commit(
        'i',
        Array.from({ length: count }, (_, i) => [100 + i, `row ${i} ${'x'.repeat(60)}`]),
      );
      const terminal = start('terminal', args('pull'));
      await until(
        async () => isWriting(),
        () => 'the terminal did not begin to apply',
      );
      expect(rows()).toEqual(before);
      await terminal.stop('SIGKILL');
      expect(rows()).toEqual(before);
      expect(seqHere()).toBe(1);
      const parts = inFile((db) => db.prepare('SELECT count(*) FROM tidemark_spool').pluck().get());
      expect(Number(parts) > 0).toBe(spooled);
      inFile((db) => db.exec('DROP TRIGGER endless'));
      expect((await run('terminal', args('pull'))).code).toBe(0);
      expect(rows()).toHaveLength(10 + count);
      expect(seqHere()).toBe(2);
    },
  );
});
