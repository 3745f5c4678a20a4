import { RelayStatus } from '@tidemark/protocol/api';
import type { TidemarkError } from '@tidemark/protocol/errors';
import { verifyPage } from '@tidemark/replica/page-reader';
import { Replica } from '@tidemark/replica/replica';
import type { Agent } from '@tidemark/terminal/agent/agent-api';
import { until } from '@tidemark/testing/processes';
import { describe, expect, test } from 'vitest';
import { database, faultProxy, pull, relay, rows, seqHere, useTerminal } from './terminal-lab.ts';

/** The relay's answers are late, truncated, damaged, or from another server. The terminal must survive all of them. */

useTerminal();

describe('answers of the relay', () => {
  const HTML = '<html>Sign in</html>';
  test.each([
    ['relay-answers-html', { kind: 'answer', status: 200, body: HTML }, 'relay_not_tidemark'],
    ['relay-answers-500', { kind: 'answer', status: 500, body: HTML }, 'relay_failed'],
    ['relay-redirects', { kind: 'answer', status: 302, body: '', headers: { location: '/' } }, 'relay_not_tidemark'],
    ['relay-is-busy', { kind: 'answer', status: 503, body: '', headers: { 'retry-after': '1' } }, 'relay_busy'],
    ['relay-cuts', { kind: 'cut' }, 'relay_unreachable'],
    ['relay-is-silent', { kind: 'silence' }, 'relay_timeout'],
    ['page-cut-short', { kind: 'truncate', after: 200 }, 'relay_unreachable'],
    ['page-with-flipped-bit', { kind: 'flip' }, 'page_corrupt'],
  ] as const)(
    '%s: the pull fails with an error code and leaves the replica unchanged, and the next pull completes',
    async (_, trouble, code) => {
      await relay.base(2000);
      await relay.commit('u', [[1, 'first']]);
      expect((await pull()).outcome).toBe('done');
      const before = rows();
      await relay.commit(
        'u',
        Array.from({ length: 1000 }, (_, i) => [i + 1, `changed ${i}`]),
      );
      faultProxy.trouble = trouble;
      const failed = await pull();
      expect(failed).toMatchObject({ outcome: 'failed', fault: { code } });
      expect(rows()).toEqual(before);
      expect(seqHere()).toBe(2);
      faultProxy.trouble = { kind: 'none' };
      expect((await pull()).outcome).toBe('done');
      expect(rows()[999]).toEqual([1000, 'changed 999']);
      expect(seqHere()).toBe(3);
    },
  );

  test.each([
    ['pulled', false],
    ['followed', true],
  ])(
    'slow-link: receives a page that takes longer than the time limit for an answer, and reports progress (%s)',
    async (_, watch) => {
      await relay.base(2000);
      expect((await pull()).outcome).toBe('done');
      await relay.commit(
        'u',
        Array.from({ length: 1000 }, (_, i) => [i + 1, `item ${Math.sin(i)} ${Math.cos(i)}`]),
      );
      faultProxy.trouble = { kind: 'slow', bytesPerSecond: 1500 };
      const totals = new Set<number>();
      const each = (agent: Agent) => {
        const { phase } = agent.facts();
        if (phase.kind === 'syncing') totals.add(phase.progress.total);
      };
      expect(await pull({ watch, each })).toMatchObject({ outcome: 'done', updated: 1000, retries: 0 });
      expect(totals).toContain(1000);
    },
  );

  test.each([
    ['copy-cut-short', { kind: 'truncate', after: 2000 }, 'relay_unreachable'],
    ['copy-with-flipped-bit', { kind: 'flip' }, 'snapshot_corrupt'],
  ] as const)('%s: the pull does not install the snapshot, and the next pull completes', async (_, trouble, code) => {
    await relay.base(2000, (n) => `item ${Math.sin(n)}`);
    faultProxy.trouble = trouble;
    // The relay may still be building the snapshot.
    const failed = await until(
      async () => {
        const tried = await pull();
        return tried.fault?.code === 'snapshot_building' ? false : tried;
      },
      () => 'the relay did not build the snapshot',
    );
    expect(failed).toMatchObject({ outcome: 'failed', fault: { code } });
    expect(seqHere()).toBe(0);
    faultProxy.trouble = { kind: 'none' };
    expect((await pull()).outcome).toBe('done');
    expect(rows()).toHaveLength(2000);
  });

  test('rejects pages out of order, of another epoch and of another feed, and leaves the replica unchanged', async () => {
    await relay.base(10);
    expect((await pull()).outcome).toBe('done');
    for (let n = 1; n <= 3; n++) await relay.commit('u', [[n, `changed ${n}`]]);
    const status = RelayStatus.parse(await (await relay.get('/v1/feeds/shop/status')).json());
    const epoch = status.head?.epoch ?? '';
    const next = await relay.page(epoch, '1', 4);
    const later = await relay.page(epoch, '2', 4);
    const replica = Replica.open(database(), 'shop');
    try {
      const before = replica.cursorState();
      const refuses = (page: Buffer, code: string) => {
        let thrown: TidemarkError | null = null;
        try {
          replica.applyPage(verifyPage(page));
        } catch (error) {
          thrown = error as TidemarkError;
        }
        expect(thrown?.code).toBe(code);
        expect(replica.cursorState()).toEqual(before);
      };
      refuses(later, 'page_out_of_order');
      refuses(
        reseal(next, (text) => text.replace(epoch, 'zzzzzzzzzz')),
        'page_other_epoch',
      );
      refuses(
        reseal(next, (text) => text.replace('"shop"', '"other"')),
        'page_invalid',
      );
      refuses(
        reseal(next, (text) => text.replace('["c",3,1]\n', '')),
        'page_invalid',
      );
      refuses(
        reseal(next, (text) => text.replace('["c",3,1]', '["c",3,2]')),
        'page_invalid',
      );
      refuses(next.subarray(0, next.length - 40), 'page_corrupt');
      expect(replica.applyPage(verifyPage(next))).toMatchObject({ transactions: 3, changes: 3 });
      refusesTwice(replica, next);
    } finally {
      replica.close();
    }
    expect(rows().slice(0, 3)).toEqual([
      [1, 'changed 1'],
      [2, 'changed 2'],
      [3, 'changed 3'],
    ]);
  });

  test('detects a relay that was restored to an older state', async () => {
    await relay.base(10);
    await relay.commit('u', [[1, 'x']]);
    expect((await pull()).outcome).toBe('done');
    const status = RelayStatus.parse(await (await relay.get('/v1/feeds/shop/status?epoch=zzzzzzzz&seq=5')).json());
    expect(status.plan).toMatchObject({ by: 'snapshot', reason: 'epoch_changed' });
    const ahead = await relay.get(`/v1/feeds/shop/status?epoch=${status.head?.epoch}&seq=5`);
    expect(RelayStatus.parse(await ahead.json()).plan).toMatchObject({ by: 'snapshot', reason: 'cursor_ahead' });
  });
});

function refusesTwice(replica: Replica, page: Buffer): void {
  expect(() => replica.applyPage(verifyPage(page))).toThrowError(
    expect.objectContaining({ code: 'page_out_of_order' }),
  );
}

/** A page with other lines and a matching checksum. */
function reseal(page: Buffer, change: (text: string) => string): Buffer {
  const { createHash } = process.getBuiltinModule('node:crypto');
  const lines = page.toString().trimEnd().split('\n');
  const trailer = JSON.parse(lines.pop() ?? '') as Record<string, unknown>;
  const body = change(`${lines.join('\n')}\n`);
  const sha256 = createHash('sha256').update(body).digest('hex');
  return Buffer.from(`${body}${JSON.stringify({ ...trailer, sha256 })}\n`);
}
