import { expect, test } from 'vitest';
import {
  applied,
  at,
  bySnapshot,
  failed,
  fetched,
  keptOf,
  NOW,
  PLANS,
  polled,
  probed,
  Rig,
  start,
  status,
} from './machine-rig.ts';

/** Creates a machine whose replica keeps part `part` of a compacted transaction that ends at `to`. */
function rigWithParts(to: number, policy: ConstructorParameters<typeof Rig>[0] = {}): Rig {
  const rig = new Rig(policy);
  rig.state = { ...rig.state, start: keptOf(to, 2) };
  return rig;
}

test('Q1: requests compacted pages again while the relay builds them', () => {
  const rig = new Rig();
  // No jitter on top of the wait that the relay asks for.
  rig.random = 0;
  rig.send(start());
  rig.on(probed(50, PLANS.compacted), 'fetch 5 compacted');
  expect(rig.state).toMatchObject({ plan: { target: 50 } });
  rig.on(failed('fetch', 'squash_building', 1000));
  expect(rig.waitMs).toBe(1000);
  rig.tickWhenDue('fetch 5 compacted');
  rig.on(fetched(at(5), at(5, 1)), 'fetch 5.1 compacted', 'apply 5 to 5.1 compacted');
  rig.on(applied(5, keptOf(50, 1)));
  rig.on(fetched(at(5, 1), at(50)), 'apply 5.1 to 50 compacted');
  rig.on(applied(50), 'ended done');
});

// The relay refuses compacted pages, or builds them for minutes. The run must neither wait forever nor request them
// again.
test.each(['squash_larger', 'squash_building'] as const)(
  'Q2: uses ordinary pages instead of compacted ones for the rest of the run after %s',
  (refusal) => {
    const rig = new Rig();
    rig.send(start());
    rig.send(probed(50, PLANS.compacted));
    rig.send(failed('fetch', 'squash_building', 1000));
    rig.now += 5 * 60_000;
    rig.send({ type: 'tick' });
    rig.on(failed('fetch', refusal), 'abort', 'probe');
    rig.on(probed(55, PLANS.compacted), 'fetch 5');
    expect(rig.state).toMatchObject({ plan: { target: 50, kind: 'ordinary' } });
    rig.send(failed('fetch', 'relay_unreachable'));
    rig.send({ type: 'tick' });
    rig.tickWhenDue('abort', 'probe');
    rig.send(probed(60, PLANS.compacted));
    expect(rig.state).toMatchObject({ plan: { target: 50, kind: 'ordinary' } });
  },
);

test('Q3: finishes a compacted transaction whose parts it keeps, then pulls ordinary pages to the target', () => {
  const rig = rigWithParts(40);
  rig.send(start());
  rig.on(probed(50, PLANS.pages), 'fetch 5.2 compacted');
  expect(rig.state).toMatchObject({ plan: { target: 40 } });
  rig.on(fetched(at(5, 2), at(40)), 'apply 5.2 to 40 compacted');
  rig.on(applied(40), 'fetch 40');
  expect(rig.state).toMatchObject({ plan: { target: 50, kind: 'ordinary' } });
});

test('Q3: drops kept parts when the relay refuses to continue them', () => {
  const rig = rigWithParts(40);
  rig.send(start());
  rig.send(probed(50, PLANS.compacted));
  rig.on(failed('fetch', 'squash_larger'), 'abort', 'probe');
  rig.on(probed(50, PLANS.compacted), 'discard');
  rig.on(applied(5), 'fetch 5');
  expect(rig.state).toMatchObject({ plan: { target: 50, kind: 'ordinary' } });
});

test('Q3: drops kept parts in a run of one transaction, and when the relay was restored to a seq before their end', () => {
  const one = rigWithParts(40);
  one.send(start('one'));
  one.on(probed(50, PLANS.compacted), 'discard');
  const setBack = rigWithParts(40);
  setBack.send(start());
  setBack.on(probed(30, PLANS.compacted), 'discard');
});

test('Q3: asks for a new plan when the horizon passes a transaction whose parts it keeps', () => {
  const rig = rigWithParts(40, { freshCopy: 'take' });
  rig.send(start());
  rig.send(probed(40, PLANS.compacted));
  rig.send(fetched(at(5, 2), at(5, 3)));
  rig.send(failed('fetch', 'behind_horizon'));
  rig.on(applied(5, keptOf(40, 3)), 'abort', 'probe');
  rig.on(probed(40, bySnapshot('behind_horizon')), 'manifest');
});

test.each([
  ['ordinary', 'newer than ten minutes', NOW - 5_000],
  ['compacted', 'a day old', NOW - 86_400_000],
])('a terminal that follows the relay pulls %s pages when its backlog is %s', (kind, _, oldestAt) => {
  const rig = new Rig({ watch: true });
  const behind = { transactions: 9, changes: 9, bytes: 9e6, oldestAt };
  rig.send(polled({ ...status(50, PLANS.compacted), behind }));
  expect(rig.state).toMatchObject({ at: 'pulling', plan: { kind } });
});

test('continues the kept parts of an ordinary transaction with ordinary pages', () => {
  const rig = new Rig();
  rig.state = { ...rig.state, start: at(5, 3) };
  rig.send(start());
  rig.on(probed(50, PLANS.compacted), 'fetch 5.3');
});
