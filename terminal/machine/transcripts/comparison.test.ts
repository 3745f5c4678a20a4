import { describe, expect, test } from 'vitest';
import {
  applied,
  at,
  bySnapshot,
  compared,
  failed,
  fetched,
  manifest,
  PLANS,
  probed,
  Rig,
  repaired,
  start,
} from './machine-rig.ts';

describe('a requested comparison', () => {
  // Changes between the replica and the snapshot would count as differences, so the run pulls them first.
  test('C6: pulls to the snapshot, compares, repairs and ends there', () => {
    const rig = new Rig();
    rig.send(start('verify'));
    rig.on(probed(9, PLANS.pages), 'manifest');
    rig.on(manifest(7), 'fetch 5');
    rig.send(fetched(at(5), at(7)));
    rig.on(applied(7), 'compare');
    rig.on(compared('repair'), 'repair');
    rig.on(repaired(7), 'ended done');
  });

  test('C6: compares at once when the replica is at the snapshot', () => {
    const rig = new Rig();
    rig.send(start('verify'));
    rig.on(probed(5, PLANS.none), 'manifest');
    rig.on(manifest(5), 'compare');
    rig.on(compared('equal'), 'ended done');
  });

  test('C6: compares at once when the replica is ahead of a relay restored from a backup', () => {
    const rig = new Rig();
    rig.send(start('verify'));
    rig.on(probed(3, bySnapshot('cursor_ahead')), 'manifest');
    rig.on(manifest(3), 'compare');
    rig.on(compared('equal'), 'ended done');
  });

  test('only reports differences when repair is off', () => {
    const rig = new Rig({ repair: false });
    rig.send(start('verify'));
    rig.send(probed(5, PLANS.none));
    rig.on(manifest(5), 'compare without copy');
    rig.on(compared('repair'), 'ended failed: replica_differs');
  });
});

describe('a comparison after a change of scopes', () => {
  test('C9: repairs at the snapshot, then pulls to the target', () => {
    const rig = new Rig();
    rig.send(start());
    rig.on(probed(9, PLANS.scopesChanged), 'manifest');
    rig.on(manifest(7, 'ab'), 'compare');
    rig.on(compared('repair'), 'repair');
    rig.on(repaired(7), 'fetch 7');
    expect(rig.state).toMatchObject({ at: 'pulling', plan: { target: 9, scopes: 'ab' } });
  });

  test('C9: downloads the snapshot when that costs less', () => {
    const rig = new Rig();
    rig.send(start());
    rig.send(probed(9, PLANS.scopesChanged));
    rig.send(manifest(7, 'ab'));
    rig.on(compared('copy'), 'download');
    expect(rig.state).toMatchObject({ run: { preparation: { reason: 'scopes_changed' } } });
  });
});

describe('a page that does not fit', () => {
  // Another program changed rows or tables. The run repairs them once, and fails at a second misfit instead of looping.
  test('C7: leads to one comparison and repair', () => {
    const rig = new Rig();
    rig.send(start());
    rig.send(probed(9, PLANS.pages));
    rig.send(fetched(at(5), at(7)));
    rig.on(failed('apply', 'replica_altered'), 'abort', 'manifest');
    rig.on(manifest(7), 'compare');
    rig.on(compared('repair'), 'repair strictly');
    rig.on(repaired(7), 'fetch 7');
    rig.send(fetched(at(7), at(9)));
    rig.on(failed('apply', 'replica_altered'), 'abort', 'ended failed: replica_altered');
  });

  // A cache may hold a damaged page, so the run bypasses caches before it suspects the replica.
  test.each(['apply', 'fetch'] as const)('C7: is fetched once more when it is invalid (%s)', (work) => {
    const rig = new Rig();
    rig.send(start());
    rig.send(probed(9, PLANS.pages));
    rig.send(fetched(at(5), at(7)));
    if (work === 'fetch') rig.send(applied(7));
    const from = work === 'fetch' ? 7 : 5;
    rig.on(failed(work, 'page_invalid'), 'abort', `fetch ${from} fresh`);
    if (work === 'apply') rig.send(fetched(at(5), at(7)));
    rig.on(failed(work, 'page_invalid'), 'abort', 'manifest');
  });
});

test('a run repeats a failed comparison for the same reason, and can be cancelled', () => {
  const rig = new Rig();
  rig.send(start());
  rig.send(probed(5, PLANS.none, true));
  rig.send(manifest(5));
  rig.on(failed('compare', 'snapshot_gone'), 'abort', 'attempt-failed');
  rig.tickWhenDue('abort', 'probe');
  rig.on(probed(5, PLANS.none, true), 'manifest');
  rig.on(manifest(5), 'compare');
  rig.on({ type: 'cancel' }, 'abort');
  rig.on({ type: 'aborted' }, 'ended cancelled');
});

// Neither the structure nor the relay shows the alteration. Only the run knows that a page did not fit.
test("a run still compares on its retry after a misfit, although the tables' structure is right", () => {
  const rig = new Rig();
  rig.send(start());
  rig.send(probed(9, PLANS.pages));
  rig.send(fetched(at(5), at(7)));
  rig.send(failed('apply', 'replica_altered'));
  rig.on(failed('manifest', 'relay_unreachable'), 'abort', 'attempt-failed');
  rig.tickWhenDue('abort', 'probe');
  rig.on(probed(9, PLANS.pages), 'manifest');
  rig.on(manifest(7), 'compare');
});
