import { RelayStatus } from '@tidemark/protocol/api';
import { verifyPage } from '@tidemark/replica/page-reader';
import { Replica } from '@tidemark/replica/replica';
import Database from 'better-sqlite3';
import { describe, expect, test } from 'vitest';
import { database, pull, relay, rows, seqHere, useTerminal } from './terminal-lab.ts';

/** A transaction of the master appears at the terminal completely or not at all. */

useTerminal();

describe('transactions', () => {
  test('S5 oversized-transaction: shows a transaction that spans pages completely or not at all, even after a kill', async () => {
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
    // As after a kill: the spooled part is present, but readers do not see it.
    replica = Replica.open(database(), 'shop');
    expect(replica.cursorState().start.part).toBeGreaterThan(first.start.part);
    replica.close();
    expect((await pull()).outcome).toBe('done');
    expect(rows()).toHaveLength(60_010);
    expect(seqHere()).toBe(2);
  });

  test('S6 readers see the state before or after a page, and are never blocked', async () => {
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
});
