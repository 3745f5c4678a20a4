import type { RelayStatus } from '@tidemark/protocol/api';
import { ERRORS, type ErrorCode } from '@tidemark/protocol/errors';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { SPACING_MS } from '../agent/spaced-call.ts';
import type { Effect } from './effect.ts';
import type { Event, Verdict, Work } from './event.ts';
import { dueAt } from './machine.ts';
import {
  applied,
  at,
  bySnapshot,
  compared,
  failed,
  fetched,
  installed,
  manifest,
  PLANS,
  polled,
  probed,
  Rig,
  repaired,
} from './transcripts/machine-rig.ts';

/**
 * W: the machine limits its requests to a relay whose answers never lead anywhere. Each kind of request has its own
 * answers, which repeat for an hour. The waits are the shortest that the jitter allows. Meanwhile the operating system
 * reports a network and wakes from sleep as often as the agent passes it on, settings are saved, and the clock is set.
 */

const HOUR_MS = 60 * 60_000;
/** Upper bound on requests in the first minute and in the first hour. W7 states both. */
const MOST_IN_MINUTE = 150;
const MOST_IN_HOUR = 2_000;
/** Upper bound on downloads of a copy in the first hour. W7 states it. */
const MOST_COPIES = 300;
/** The longest time for which the agent's timer is set, ms. */
const TIMER_MS = 60_000;

const FOLLOWING = { watch: true, freshCopy: 'take' } as const;
const REQUESTS = new Set<Effect['do']>(['probe', 'poll', 'fetch', 'manifest', 'download', 'compare']);

const failure = fc.tuple(
  fc.constantFrom<ErrorCode>(...(Object.keys(ERRORS) as ErrorCode[])),
  fc.constantFrom(null, 0, 1, 1_000, 1e9),
);
/** A plan that asks for work which the other answers never finish. */
const plan = fc.constantFrom<RelayStatus['plan']>(
  PLANS.none,
  PLANS.pages,
  PLANS.compacted,
  PLANS.scopesChanged,
  ...(['first', 'epoch_changed', 'behind_horizon', 'scopes_changed', 'cheaper', 'cursor_ahead'] as const).map(
    bySnapshot,
  ),
);

/** Answers of a relay by kind of request. A number chooses a failure, if there is one, or the usual result. */
const relay = fc.record({
  plans: fc.array(plan, { minLength: 1, maxLength: 3 }),
  failures: fc.array(fc.option(failure, { freq: 2 }), { minLength: 1, maxLength: 7 }),
  verdict: fc.constantFrom<Verdict>('equal', 'repair', 'copy'),
  /** How long the relay holds each poll, ms. */
  holds: fc.array(fc.constantFrom(0, 1_000, 19_999, 20_000, 30_000), { minLength: 1, maxLength: 5 }),
});
type Relay = typeof relay extends fc.Arbitrary<infer T> ? T : never;

/** An event that repeats. The clock is set by `setsClockMs`, forwards and back by turns. */
interface Outside {
  everyMs: number;
  event: Event | null;
  setsClockMs?: number;
}
const SETTINGS: Event = { type: 'settings', feed: 'same', connection: 'same', policy: new Rig(FOLLOWING).state.policy };
const outside = fc.subarray<Outside>([
  { everyMs: SPACING_MS, event: { type: 'online' } },
  { everyMs: SPACING_MS + 1, event: { type: 'woke' } },
  { everyMs: 5_000, event: SETTINGS },
  { everyMs: 7_000, event: null, setsClockMs: 2 * HOUR_MS },
  { everyMs: 11_000, event: null, setsClockMs: -20 * 60_000 },
]);

/** The machine, its agent's timer, and a relay that answers each request. Time passes only between events. */
class World {
  readonly #rig = new Rig(FOLLOWING);
  readonly #relay: Relay;
  readonly #outside: { source: Outside; atMs: number }[];
  #elapsedMs = 0;
  #asked = 0;
  /** The work in flight, or `aborted` once it was aborted. Null: none. */
  #pending: { work: Work | 'aborted'; atMs: number } | null = { work: 'poll', atMs: 0 };
  /** The due time for which the agent's timer is set, and the elapsed time at which it fires. */
  #timer: { due: number; atMs: number } | null = null;
  readonly counts = { inMinute: 0, requests: 0, copies: 0 };

  constructor(relay: Relay, outside: Outside[]) {
    this.#rig.random = 0;
    this.#relay = relay;
    this.#outside = outside.map((source) => ({ source, atMs: source.everyMs }));
  }

  /** Runs for an hour. Calls `check` after each event. */
  run(check: (counts: World['counts']) => void): void {
    while (this.#elapsedMs < HOUR_MS) {
      const times = [this.#pending, this.#timer, ...this.#outside].filter((each) => each !== null);
      const atMs = Math.min(...times.map((each) => each.atMs));
      if (atMs === Number.POSITIVE_INFINITY) return;
      this.#rig.now += Math.max(0, atMs - this.#elapsedMs);
      this.#elapsedMs = Math.max(this.#elapsedMs, atMs);
      if (this.#pending?.atMs === atMs) this.#finish(this.#pending.work);
      else if (this.#timer?.atMs === atMs) this.#fire();
      else this.#happen(atMs);
      check(this.counts);
    }
  }

  #finish(work: Work | 'aborted'): void {
    this.#pending = null;
    this.#send(work === 'aborted' ? { type: 'aborted' } : this.#answer(work));
  }

  #fire(): void {
    this.#timer = null;
    this.#send({ type: 'tick' });
  }

  #happen(atMs: number): void {
    for (const each of this.#outside) {
      if (each.atMs !== atMs) continue;
      const { everyMs, event, setsClockMs = 0 } = each.source;
      each.atMs += everyMs;
      each.source = { ...each.source, setsClockMs: -setsClockMs };
      this.#rig.now += setsClockMs;
      this.#rig.clockSetByMs += setsClockMs;
      if (event) this.#send(event);
    }
  }

  #send(event: Event): void {
    for (const effect of this.#rig.send(event)) this.#perform(effect);
    // MachineRunner sets its timer in the same way.
    const due = dueAt(this.#rig.state);
    if (due === null) this.#timer = null;
    else if (due !== this.#timer?.due) {
      const waitMs = Math.min(TIMER_MS, Math.max(0, due - this.#rig.now));
      this.#timer = { due, atMs: this.#elapsedMs + waitMs };
    }
  }

  #perform(effect: Effect): void {
    if (effect.do === 'abort') this.#pending = { work: 'aborted', atMs: this.#elapsedMs };
    if (!REQUESTS.has(effect.do) && !['install', 'repair', 'discard', 'apply'].includes(effect.do)) return;
    const { holds } = this.#relay;
    const heldMs = effect.do === 'poll' ? (holds[this.#asked % holds.length] ?? 0) : 0;
    this.#pending = { work: effect.do as Work, atMs: this.#elapsedMs + heldMs };
    if (!REQUESTS.has(effect.do)) return;
    this.counts.requests++;
    if (this.#elapsedMs < 60_000) this.counts.inMinute++;
    if (effect.do === 'download') this.counts.copies++;
  }

  #answer(work: Work): Event {
    const { failures, plans, holds, verdict } = this.#relay;
    const held = holds[this.#asked % holds.length] ?? 0;
    const fault = failures[this.#asked++ % failures.length];
    if (fault && REQUESTS.has(work as Effect['do'])) return failed(work, ...fault);
    const status = probed(8, plans[this.#asked % plans.length] ?? PLANS.none);
    switch (work) {
      case 'probe':
        return status;
      case 'poll':
        return polled(status.status, held);
      case 'fetch':
        // The terminal refuses a page that does not lead on.
        return failed('fetch', 'relay_no_progress');
      case 'manifest':
        return manifest(5);
      case 'download':
        return { type: 'downloaded' };
      case 'install':
        return installed(5);
      case 'compare':
        return compared(verdict);
      case 'repair':
        return repaired(5);
      case 'discard':
      case 'apply':
        return applied(5);
      case 'open':
      case 'record':
        return fetched(at(5), at(5));
    }
  }
}

test.each<[string, fc.Arbitrary<Outside[]>, number]>([
  ['whatever the relay answers', fc.constant([]), 3000],
  ['whatever the relay answers, the operating system reports and the clock shows', outside, 3000],
])('W1 to W7: the machine limits its requests %s', (_, outside, numRuns) => {
  fc.assert(
    fc.property(relay, outside, (answers, events) => {
      new World(answers, events).run(({ inMinute, requests, copies }) => {
        expect(inMinute).toBeLessThanOrEqual(MOST_IN_MINUTE);
        expect(requests).toBeLessThanOrEqual(MOST_IN_HOUR);
        expect(copies).toBeLessThanOrEqual(MOST_COPIES);
      });
    }),
    { numRuns },
  );
});
