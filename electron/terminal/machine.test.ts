import { Epoch, type PageStart, seq } from '@tidemark/protocol/cursor.ts';
import type { ErrorCode } from '@tidemark/protocol/errors.ts';
import type { Mode } from '@tidemark/protocol/status/facts.ts';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { dueAt, initial, next } from './machine.ts';
import type { Context, Effect, Event, Policy, State, Work } from './machine-types.ts';

const EPOCH = Epoch.parse('aaaaaaaa');
const POLICY: Policy = {
  checkAtStart: true,
  everyMs: null,
  automatic: 'check',
  watch: false,
  freshCopy: 'ask',
  giveUpAfterMs: null,
  repair: true,
};
const at = (n: number, part = 0): PageStart => ({ seq: seq(n), part });
const cursor = (n: number) => ({ epoch: EPOCH, seq: seq(n) });
const NOW = Date.parse('2026-11-23T08:00:00Z');

/** The relay's answer to a terminal at `from`, with the head at `head`. */
const status = (from: number | null, head: number) => ({
  protocol: 1,
  relay: { name: 'r', version: '1' },
  now: new Date(NOW).toISOString(),
  head: { epoch: EPOCH, seq: seq(head), committedAt: new Date(NOW).toISOString() },
  horizon: seq(0),
  keepsUntil: null,
  behind: null,
  plan:
    from === null
      ? ({ by: 'snapshot', scopes: 'all', reason: 'first', rows: 1, tables: 1, bytes: 1 } as const)
      : from === head
        ? ({ by: 'none' } as const)
        : ({ by: 'pages', scopes: 'all', bytes: 1, squashed: false } as const),
  feed: { connected: true, heardAt: null, lagMs: 0 },
});
const failed = (work: Work, code: ErrorCode, retryAfterMs: number | null = null) =>
  ({ type: 'failed', work, fault: { code, params: {} }, retryAfterMs, progressed: false }) as const;
const page = (start: PageStart, to: PageStart | null) => ({ bytes: Buffer.alloc(0), start, next: to });

/** A machine that is fed events and remembers its effects. */
class Rig {
  state: State;
  effects: Effect[] = [];
  now = NOW;
  #id = 0;

  constructor(policy: Partial<Policy> = {}, from: number | null = 5) {
    this.state = initial({ ...POLICY, checkAtStart: false, ...policy }, null);
    this.send({
      type: 'settings',
      configured: true,
      feedNamed: true,
      reopen: false,
      reconnect: false,
      policy: this.state.policy,
    });
    this.send({ type: 'opened', cursor: from === null ? null : cursor(from), start: at(from ?? 0), lastRunAt: null });
  }

  send(event: Event, random = 1 - Number.EPSILON): string[] {
    const context: Context = { now: this.now, random: () => random, newId: () => `run-${++this.#id}` };
    const step = next(this.state, event, context);
    this.state = step.state;
    this.effects.push(...step.effects);
    return step.effects.map((effect) => effect.do);
  }

  start(mode: Mode = 'now', wanted: number | null = null): string[] {
    return this.send({ type: 'start', mode, trigger: 'manual', wanted: wanted === null ? null : seq(wanted) });
  }

  /** How the last run ended. */
  get outcome() {
    const last = this.effects.findLast((effect) => effect.do === 'ended');
    return last?.do === 'ended' ? { outcome: last.outcome, code: last.fault?.code } : null;
  }
}

describe('a pull', () => {
  test('asks, fetches ahead while it applies, and ends at its target though the head moves on', () => {
    const rig = new Rig();
    expect(rig.start()).toEqual(['began', 'probe']);
    expect(rig.send({ type: 'probed', altered: false, status: status(5, 8) })).toEqual(['fetch']);
    expect(rig.send({ type: 'fetched', page: page(at(5), at(7)) })).toEqual(['fetch', 'apply']);
    expect(rig.send({ type: 'applied', cursor: cursor(7), start: at(7) })).toEqual([]);
    expect(rig.send({ type: 'fetched', page: page(at(7), at(8)) })).toEqual(['apply']);
    expect(rig.send({ type: 'applied', cursor: cursor(8), start: at(8) })).toEqual(['ended']);
    expect(rig.state).toMatchObject({ at: 'idle', cursor: cursor(8) });
    expect(rig.outcome).toEqual({ outcome: 'done', code: undefined });
  });

  test('of one transaction, and up to one, ends there', () => {
    const rig = new Rig();
    rig.start('one');
    rig.send({ type: 'probed', altered: false, status: status(5, 9) });
    expect(rig.state).toMatchObject({ at: 'pulling', plan: { target: 6 } });
    const far = new Rig();
    far.start('up-to', 20);
    far.send({ type: 'probed', altered: false, status: status(5, 9) });
    expect(far.outcome).toEqual({ outcome: 'failed', code: 'target_invalid' });
  });

  test('a page that leads nowhere is not asked for for ever', () => {
    const rig = new Rig({ giveUpAfterMs: 0 });
    rig.start();
    rig.send({ type: 'probed', altered: false, status: status(5, 8) });
    rig.send({ type: 'fetched', page: page(at(5), at(5)) });
    rig.send({ type: 'applied', cursor: cursor(5), start: at(5) });
    expect(rig.outcome).toEqual({ outcome: 'failed', code: 'page_out_of_order' });
  });

  test('cancel ends it once all work has stopped, and keeps what was written', () => {
    const rig = new Rig();
    rig.start();
    rig.send({ type: 'probed', altered: false, status: status(5, 8) });
    rig.send({ type: 'fetched', page: page(at(5), at(7)) });
    expect(rig.send({ type: 'cancel' })).toEqual(['abort']);
    rig.send({ type: 'applied', cursor: cursor(7), start: at(7) });
    expect(rig.send({ type: 'aborted' })).toEqual(['ended']);
    expect(rig.outcome).toEqual({ outcome: 'cancelled', code: undefined });
    expect(rig.state).toMatchObject({ at: 'idle', cursor: cursor(7) });
  });

  test('a first one takes a copy, then pages to the target that was fixed', () => {
    const rig = new Rig({}, null);
    rig.start();
    expect(rig.send({ type: 'probed', altered: false, status: status(null, 8) })).toEqual(['manifest']);
    const manifest = { cursor: cursor(6), scopes: 'all' } as never;
    expect(rig.send({ type: 'manifest', manifest })).toEqual(['download']);
    expect(rig.send({ type: 'downloaded' })).toEqual(['install']);
    expect(rig.send({ type: 'installed', cursor: cursor(6), start: at(6) })).toEqual(['fetch']);
    expect(rig.state).toMatchObject({ at: 'pulling', plan: { target: 8 } });
  });
});

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
      behind: { transactions: 9, changes: 9, bytes: 9e6, oldestAt: new Date(oldestAt).toISOString() },
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

describe('waits', () => {
  test('grow from 2 s to 5 min, begin anew after progress, and keep what the relay asked for', () => {
    const rig = new Rig();
    rig.start();
    const waits: number[] = [];
    for (let n = 0; n < 12; n++) {
      rig.send(failed('probe', 'relay_unreachable'));
      waits.push(Math.round(((dueAt(rig.state) ?? 0) - rig.now) / 1000));
      rig.now = dueAt(rig.state) ?? 0;
      expect(rig.send({ type: 'tick' })).toEqual(['abort', 'probe']);
    }
    expect(waits.slice(0, 4)).toEqual([2, 4, 8, 16]);
    expect(waits.at(-1)).toBe(300);
    rig.send({ type: 'probed', altered: false, status: status(5, 8) });
    rig.send({ type: 'fetched', page: page(at(5), at(6)) });
    rig.send({ type: 'applied', cursor: cursor(6), start: at(6) });
    rig.send(failed('fetch', 'relay_unreachable'));
    expect(Math.round(((dueAt(rig.state) ?? 0) - rig.now) / 1000)).toBe(2);
    const asked = new Rig();
    asked.start();
    asked.send(failed('probe', 'relay_busy', 45_000), 0);
    expect((dueAt(asked.state) ?? 0) - asked.now).toBe(45_000);
  });

  test('what trying again cannot mend ends the run at once', () => {
    const rig = new Rig();
    rig.start();
    rig.send(failed('probe', 'token_invalid'));
    expect(rig.outcome).toEqual({ outcome: 'failed', code: 'token_invalid' });
    expect(rig.state.at).toBe('idle');
  });

  test('a network that comes back, and a click, end the wait', () => {
    for (const event of [
      { type: 'online', online: true } as const,
      { type: 'start', mode: 'now', trigger: 'manual', wanted: null } as const,
    ]) {
      const rig = new Rig();
      rig.start();
      rig.send(failed('probe', 'relay_unreachable'));
      expect(rig.send(event)).toEqual(['abort', 'probe']);
    }
  });
});

describe('by itself', () => {
  test('the schedule pulls, a pause holds it, and a PC without data only checks', () => {
    const rig = new Rig({ everyMs: 60_000, automatic: 'sync' });
    rig.now += 60_000;
    expect(rig.send({ type: 'tick' })).toEqual(['began', 'probe']);
    expect(rig.state).toMatchObject({ run: { mode: 'now', trigger: 'schedule' } });
    const paused = new Rig({ everyMs: 60_000, automatic: 'sync' });
    paused.send({ type: 'pause', until: null, by: 'you' });
    paused.now += 600_000;
    expect(paused.send({ type: 'tick' })).toEqual([]);
    const empty = new Rig({ everyMs: 60_000, automatic: 'sync' }, null);
    empty.now += 60_000;
    empty.send({ type: 'tick' });
    expect(empty.state).toMatchObject({ run: { mode: 'check' } });
  });

  test('nobody is asked for a fresh copy where nobody is: the schedule takes it, a click only says that it is needed', () => {
    const gone = (from: number) => ({
      ...status(from, 8),
      plan: { by: 'snapshot', scopes: 'all', reason: 'epoch_changed', rows: 1, tables: 1, bytes: 1 } as const,
    });
    const rig = new Rig({ everyMs: 60_000, automatic: 'sync' });
    rig.now += 60_000;
    rig.send({ type: 'tick' });
    expect(rig.send({ type: 'probed', altered: false, status: gone(5) })).toEqual(['manifest']);
    const clicked = new Rig();
    clicked.start();
    clicked.send({ type: 'probed', altered: false, status: gone(5) });
    expect(clicked.outcome).toEqual({ outcome: 'failed', code: 'epoch_changed' });
  });

  test('a pause in a run ends it, and resume goes on with it', () => {
    const rig = new Rig();
    rig.start();
    rig.send({ type: 'probed', altered: false, status: status(5, 8) });
    rig.send({ type: 'pause', until: null, by: 'you' });
    rig.send({ type: 'aborted' });
    expect(rig.state.at).toBe('idle');
    expect(rig.send({ type: 'resume' })).toEqual(['began', 'probe']);
  });
});

describe('whatever happens', () => {
  const fault = fc.constantFrom<ErrorCode>(
    'relay_unreachable',
    'token_invalid',
    'disk_full',
    'epoch_changed',
    'page_corrupt',
    'snapshot_building',
    'snapshot_gone',
    'replica_altered',
    'page_invalid',
    'squash_building',
    'squash_larger',
  );
  const small = fc.integer({ min: 0, max: 9 });
  const event: fc.Arbitrary<Event> = fc.oneof(
    fc.record({
      type: fc.constant('start' as const),
      mode: fc.constantFrom<Mode>('now', 'check', 'one', 'recopy', 'verify'),
      trigger: fc.constant('manual' as const),
      wanted: fc.constant(null),
    }),
    fc.constantFrom<Event>(
      { type: 'cancel' },
      { type: 'resume' },
      { type: 'tick' },
      { type: 'woke' },
      { type: 'aborted' },
      { type: 'downloaded' },
      { type: 'online', online: true },
      { type: 'pause', until: null, by: 'you' },
    ),
    fc.tuple(small, small, fc.boolean()).map(([from, head, squashed]) => {
      const answer = status(Math.min(from, head), head);
      const { plan } = answer;
      return {
        type: 'probed' as const,
        altered: false,
        status: { ...answer, plan: plan.by === 'pages' ? { ...plan, squashed } : plan },
      };
    }),
    fc.tuple(small, small).map(([from, to]) => ({ type: 'fetched' as const, page: page(at(from), at(to)) })),
    small.map((n) => ({ type: 'applied' as const, cursor: cursor(n), start: at(n) })),
    small.map((n) => ({ type: 'installed' as const, cursor: cursor(n), start: at(n) })),
    small.map((n) => ({ type: 'repaired' as const, cursor: cursor(n), start: at(n) })),
    fc
      .tuple(fc.boolean(), fc.boolean())
      .map(([needed, copy]) => ({ type: 'compared' as const, differences: [], needed, copy })),
    fc.tuple(small, small, fc.boolean()).map(([from, head, altered]) => ({
      type: 'probed' as const,
      altered,
      status: {
        ...status(Math.min(from, head), head),
        plan: { by: 'difference' as const, scopes: 'ab', rows: 1, tables: 1, bytes: 1 },
      },
    })),
    small.map((n) => ({ type: 'manifest' as const, manifest: { cursor: cursor(n), scopes: 'all' } as never })),
    fc
      .tuple(fc.constantFrom<Work>('probe', 'fetch', 'apply', 'download', 'compare', 'repair'), fault)
      .map(([work, code]) => failed(work, code)),
  );

  test('each run that began ends once, before another begins; and stop always comes to an end', () => {
    fc.assert(
      fc.property(
        fc.array(event, { maxLength: 60 }),
        fc.constantFrom('take' as const, 'ask' as const),
        (events, freshCopy) => {
          const rig = new Rig({ freshCopy, everyMs: 60_000, automatic: 'sync' });
          for (const each of events) {
            rig.now += 20_000;
            rig.send(each, 0.5);
          }
          rig.send({ type: 'stop' });
          rig.send({ type: 'aborted' });
          expect(rig.state.at).toBe('stopped');
          let open: string | null = null;
          for (const effect of rig.effects) {
            if (effect.do === 'began') {
              expect(open).toBeNull();
              open = effect.run.id;
            }
            if (effect.do === 'ended') {
              expect(effect.run.id).toBe(open);
              open = null;
            }
          }
          expect(open).toBeNull();
        },
      ),
      { numRuns: 2000 },
    );
  });

  test('C7: a run ends, and repairs at most once, whatever the pages, the comparisons and the repairs come to', () => {
    const outcome = fc.record({
      plan: fc.constantFrom('pages' as const, 'difference' as const, 'none' as const),
      altered: fc.boolean(),
      apply: fc.constantFrom<ErrorCode | null>('replica_altered', 'page_invalid', 'schema_mismatch', null),
      needed: fc.boolean(),
      copy: fc.boolean(),
      repair: fc.constantFrom<ErrorCode | null>('replica_altered', null),
    });
    fc.assert(
      fc.property(
        fc.array(outcome, { minLength: 1, maxLength: 6 }),
        fc.constantFrom<Mode>('now', 'verify', 'one'),
        (outcomes, mode) => {
          const rig = new Rig();
          rig.start(mode);
          let repaired = 0;
          for (let steps = 0; rig.state.at !== 'idle'; steps++) {
            expect(steps).toBeLessThan(60);
            const now = outcomes[steps % outcomes.length] ?? outcomes[0];
            if (!now) return;
            const from = rig.state.cursor?.seq ?? 0;
            const { state } = rig;
            if (state.at === 'checking') {
              const plan = { by: 'difference', scopes: 'ab', rows: 1, tables: 1, bytes: 1 } as const;
              const answer = status(now.plan === 'none' ? 9 : from, 9);
              rig.send({
                type: 'probed',
                altered: now.altered,
                status: now.plan === 'difference' ? { ...answer, plan } : answer,
              });
            } else if (state.at === 'waiting-for-snapshot')
              rig.send({ type: 'manifest', manifest: { cursor: cursor(Math.max(from, 7)), scopes: 'ab' } as never });
            else if (state.at === 'pulling' && state.applying)
              rig.send(
                now.apply === null
                  ? { type: 'applied', cursor: cursor(from + 1), start: at(from + 1) }
                  : failed('apply', now.apply),
              );
            else if (state.at === 'pulling') rig.send({ type: 'fetched', page: page(at(from), at(from + 1)) });
            else if (state.at === 'comparing')
              rig.send({ type: 'compared', differences: [], needed: now.needed, copy: now.copy });
            else if (state.at === 'repairing') {
              const ends = now.repair === null;
              repaired += ends ? 1 : 0;
              const there = state.manifest.cursor;
              rig.send(
                ends
                  ? { type: 'repaired', cursor: there, start: at(there.seq) }
                  : failed('repair', now.repair ?? 'internal'),
              );
            } else if (state.at === 'downloading-snapshot') rig.send({ type: 'downloaded' });
            else if (state.at === 'installing-snapshot')
              rig.send({ type: 'installed', cursor: cursor(7), start: at(7) });
            else {
              rig.now = dueAt(state) ?? rig.now;
              rig.send({ type: 'tick' });
            }
          }
          expect(repaired).toBeLessThanOrEqual(1);
        },
      ),
      { numRuns: 2000 },
    );
  });
});
