import { seq } from '@tidemark/protocol/cursor';
import { describe, expect, test } from 'vitest';
import { dueAt } from './machine.ts';
import { at, cursor, failed, NOW, page, Rig, status } from './machine-rig.ts';

describe('a comparison', () => {
  const manifest = (n: number, scopes = 'all') => ({ cursor: cursor(n), scopes }) as never;
  const FOUND = [{ table: 'item', missing: 1, extra: 0, different: 2 }];
  const found = (needed = true, copy = false) =>
    ({ type: 'compared', differences: needed ? FOUND : [], needed, copy }) as const;
  const changed = (from: number, head: number) => ({
    ...status(from, head),
    plan: { by: 'difference', scopes: 'ab', rows: 1, tables: 1, bytes: 1 } as const,
  });

  test('C6: that was asked for pulls to the snapshot first, then compares, repairs and ends there', () => {
    const rig = new Rig();
    rig.start('verify');
    expect(rig.send({ type: 'probed', altered: false, status: status(5, 9) })).toEqual(['manifest']);
    expect(rig.send({ type: 'manifest', manifest: manifest(7) })).toEqual(['fetch']);
    expect(rig.state).toMatchObject({ at: 'pulling', plan: { target: 7 } });
    rig.send({ type: 'fetched', page: page(at(5), at(7)) });
    expect(rig.send({ type: 'applied', cursor: cursor(7), start: at(7) })).toEqual(['compare']);
    expect(rig.send(found())).toEqual(['repair']);
    expect(rig.state.at).toBe('repairing');
    expect(rig.send({ type: 'repaired', cursor: cursor(7), start: at(7) })).toEqual(['ended']);
    expect(rig.outcome).toEqual({ outcome: 'done', code: undefined });
  });

  test('C6: compares at once where it stands at the snapshot, and where it is ahead of a relay that was set back', () => {
    for (const probed of [
      status(5, 5),
      {
        ...status(5, 3),
        plan: { by: 'snapshot', scopes: 'all', reason: 'cursor_ahead', rows: 1, tables: 1, bytes: 1 } as const,
      },
    ]) {
      const rig = new Rig();
      rig.start('verify');
      expect(rig.send({ type: 'probed', altered: false, status: probed })).toEqual(['manifest']);
      expect(rig.send({ type: 'manifest', manifest: manifest(probed.head.seq) })).toEqual(['compare']);
      expect(rig.send(found(false))).toEqual(['ended']);
      expect(rig.outcome).toEqual({ outcome: 'done', code: undefined });
    }
  });

  test('only shows what differs where it is not to repair', () => {
    const rig = new Rig({ repair: false });
    rig.start('verify');
    rig.send({ type: 'probed', altered: false, status: status(5, 5) });
    rig.send({ type: 'manifest', manifest: manifest(5) });
    expect(rig.effects.at(-1)).toMatchObject({ do: 'compare', mayCopy: false });
    expect(rig.send(found())).toEqual(['ended']);
    expect(rig.outcome).toEqual({ outcome: 'failed', code: 'replica_differs' });
  });

  test('C9: of another set of scopes repairs at the snapshot, then pulls to its target; a copy where that is cheaper', () => {
    const rig = new Rig();
    rig.start();
    expect(rig.send({ type: 'probed', altered: false, status: changed(5, 9) })).toEqual(['manifest']);
    expect(rig.send({ type: 'manifest', manifest: manifest(7, 'ab') })).toEqual(['compare']);
    expect(rig.send(found())).toEqual(['repair']);
    expect(rig.send({ type: 'repaired', cursor: cursor(7), start: at(7) })).toEqual(['fetch']);
    expect(rig.state).toMatchObject({ at: 'pulling', plan: { target: 9, scopes: 'ab' } });
    const dear = new Rig();
    dear.start();
    dear.send({ type: 'probed', altered: false, status: changed(5, 9) });
    dear.send({ type: 'manifest', manifest: manifest(7, 'ab') });
    expect(dear.send(found(true, true))).toEqual(['download']);
    expect(dear.state).toMatchObject({ run: { snapshot: 'scopes_changed' } });
  });

  test('C7: takes over from a page that does not fit what stands here, once', () => {
    const rig = new Rig();
    rig.start();
    rig.send({ type: 'probed', altered: false, status: status(5, 9) });
    rig.send({ type: 'fetched', page: page(at(5), at(7)) });
    expect(rig.send(failed('apply', 'replica_altered'))).toEqual(['abort', 'manifest']);
    expect(rig.send({ type: 'manifest', manifest: manifest(7) })).toEqual(['compare']);
    expect(rig.send(found())).toEqual(['repair']);
    expect(rig.effects.at(-1)).toMatchObject({ do: 'repair', strict: true });
    expect(rig.send({ type: 'repaired', cursor: cursor(7), start: at(7) })).toEqual(['fetch']);
    rig.send({ type: 'fetched', page: page(at(7), at(9)) });
    expect(rig.send(failed('apply', 'replica_altered'))).toEqual(['abort', 'ended']);
    expect(rig.outcome).toEqual({ outcome: 'failed', code: 'replica_altered' });
  });

  test('C7: takes over from a page that is not understood only when it came so twice', () => {
    const rig = new Rig();
    rig.start();
    rig.send({ type: 'probed', altered: false, status: status(5, 9) });
    rig.send({ type: 'fetched', page: page(at(5), at(7)) });
    expect(rig.send(failed('apply', 'page_invalid'))).toEqual(['abort', 'fetch']);
    expect(rig.effects.at(-1)).toMatchObject({ do: 'fetch', fresh: true, start: at(5) });
    rig.send({ type: 'fetched', page: page(at(5), at(7)) });
    expect(rig.send(failed('apply', 'page_invalid'))).toEqual(['abort', 'manifest']);
  });

  test('begins again after a failure, and keeps why it compares', () => {
    const rig = new Rig();
    rig.start();
    rig.send({ type: 'probed', altered: true, status: status(5, 5) });
    rig.send({ type: 'manifest', manifest: manifest(5) });
    rig.send(failed('compare', 'snapshot_gone'));
    expect(rig.state.at).toBe('waiting-to-retry');
    rig.now = dueAt(rig.state) ?? 0;
    expect(rig.send({ type: 'tick' })).toEqual(['abort', 'probe']);
    expect(rig.send({ type: 'probed', altered: true, status: status(5, 5) })).toEqual(['manifest']);
    expect(rig.send({ type: 'manifest', manifest: manifest(5) })).toEqual(['compare']);
    expect(rig.send({ type: 'cancel' })).toEqual(['abort']);
    expect(rig.send({ type: 'aborted' })).toEqual(['ended']);
  });
});

describe('squashed pages', () => {
  const squashed = (from: number, head: number) => ({
    ...status(from, head),
    plan: { by: 'pages', scopes: 'all', bytes: 9e6, squashed: true } as const,
  });
  /** Where a machine stands that holds a part of squashed pages. */
  const kept = (rig: Rig, to: number, part = 2) => {
    rig.state = { ...rig.state, start: { ...at(5, part), squashed: seq(to) } };
  };

  test('Q1 are asked first; while the relay builds them it is asked again', () => {
    const rig = new Rig();
    rig.start();
    expect(rig.send({ type: 'probed', altered: false, status: squashed(5, 50) })).toEqual(['fetch']);
    expect(rig.state).toMatchObject({ plan: { target: 50, squashed: true } });
    expect(rig.send(failed('fetch', 'squash_building', 1000))).toEqual([]);
    expect((dueAt(rig.state) ?? 0) - rig.now).toBe(1000);
    rig.now += 1000;
    expect(rig.send({ type: 'tick' })).toEqual(['fetch']);
    expect(rig.send({ type: 'fetched', page: page(at(5), at(5, 1)) })).toEqual(['fetch', 'apply']);
    expect(rig.effects.at(-1)).toMatchObject({ do: 'apply', squashed: true });
    rig.send({ type: 'applied', cursor: cursor(5), start: { ...at(5, 1), squashed: seq(50) } });
    rig.send({ type: 'fetched', page: page(at(5, 1), at(50)) });
    rig.send({ type: 'applied', cursor: cursor(50), start: at(50) });
    expect(rig.outcome).toMatchObject({ outcome: 'done' });
  });

  test('Q2 where they are refused, or take too long, ordinary ones follow, for the rest of the run', () => {
    for (const refusal of ['squash_larger', 'squash_building'] as const) {
      const rig = new Rig();
      rig.start();
      rig.send({ type: 'probed', altered: false, status: squashed(5, 50) });
      rig.send(failed('fetch', 'squash_building', 1000));
      rig.now += 5 * 60_000;
      rig.send({ type: 'tick' });
      expect(rig.send(failed('fetch', refusal))).toEqual(['abort', 'probe']);
      expect(rig.send({ type: 'probed', altered: false, status: squashed(5, 55) })).toEqual(['fetch']);
      expect(rig.state).toMatchObject({ plan: { target: 50, squashed: false } });
      rig.send(failed('fetch', 'relay_unreachable'));
      rig.send({ type: 'tick' });
      rig.now = dueAt(rig.state) ?? 0;
      rig.send({ type: 'tick' });
      rig.send({ type: 'probed', altered: false, status: squashed(5, 60) });
      expect(rig.state).toMatchObject({ plan: { target: 50, squashed: false } });
    }
  });

  test('Q3 what was kept of them is gone on with to their end, then ordinary pages to the target', () => {
    const rig = new Rig();
    kept(rig, 40);
    rig.start();
    rig.send({ type: 'probed', altered: false, status: status(5, 50) });
    expect(rig.state).toMatchObject({ plan: { target: 40, squashed: true }, fetching: at(5, 2) });
    rig.send({ type: 'fetched', page: page(at(5, 2), at(40)) });
    expect(rig.send({ type: 'applied', cursor: cursor(40), start: at(40) })).toEqual(['fetch']);
    expect(rig.state).toMatchObject({ plan: { target: 50, squashed: false }, fetching: at(40) });
  });

  test('Q3 what was kept of them is forgotten where it cannot be gone on with', () => {
    const refused = new Rig();
    kept(refused, 40);
    refused.start();
    refused.send({ type: 'probed', altered: false, status: squashed(5, 50) });
    expect(refused.send(failed('fetch', 'squash_larger'))).toEqual(['abort', 'probe']);
    expect(refused.send({ type: 'probed', altered: false, status: squashed(5, 50) })).toEqual(['discard']);
    expect(refused.send({ type: 'applied', cursor: cursor(5), start: at(5) })).toEqual(['fetch']);
    expect(refused.state).toMatchObject({ plan: { target: 50, squashed: false }, fetching: at(5) });
    const one = new Rig();
    kept(one, 40);
    one.start('one');
    expect(one.send({ type: 'probed', altered: false, status: squashed(5, 50) })).toEqual(['discard']);
    const setBack = new Rig();
    kept(setBack, 40);
    setBack.start();
    expect(setBack.send({ type: 'probed', altered: false, status: squashed(5, 30) })).toEqual(['discard']);
  });

  test('Q3 the horizon passed them in the middle: the relay is asked what to do', () => {
    const rig = new Rig({ freshCopy: 'take' });
    kept(rig, 40);
    rig.start();
    rig.send({ type: 'probed', altered: false, status: squashed(5, 40) });
    rig.send({ type: 'fetched', page: page(at(5, 2), at(5, 3)) });
    rig.send(failed('fetch', 'behind_horizon'));
    const after = { ...at(5, 3), squashed: seq(40) };
    expect(rig.send({ type: 'applied', cursor: cursor(5), start: after })).toEqual(['abort', 'probe']);
    const gone = { by: 'snapshot', scopes: 'all', reason: 'behind_horizon', rows: 1, tables: 1, bytes: 1 } as const;
    expect(rig.send({ type: 'probed', altered: false, status: { ...status(5, 40), plan: gone } })).toEqual([
      'manifest',
    ]);
  });

  test('a terminal that follows the relay does not wait for them to be built', () => {
    const lacking = (oldestAt: number) => ({
      ...squashed(5, 50),
      behind: { transactions: 9, changes: 9, bytes: 9e6, oldestAt: oldestAt },
    });
    for (const [oldestAt, wanted] of [
      [NOW - 5_000, false],
      [NOW - 86_400_000, true],
    ] as const) {
      const rig = new Rig({ watch: true });
      rig.send({ type: 'polled', status: lacking(oldestAt) });
      expect(rig.state).toMatchObject({ at: 'pulling', plan: { squashed: wanted } });
    }
  });

  test('ordinary pages of a transaction that is not whole are not mixed with them', () => {
    const rig = new Rig();
    rig.state = { ...rig.state, start: at(5, 3) };
    rig.start();
    rig.send({ type: 'probed', altered: false, status: squashed(5, 50) });
    expect(rig.state).toMatchObject({ plan: { squashed: false }, fetching: at(5, 3) });
  });
});
