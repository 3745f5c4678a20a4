import type { RelayStatus } from '@tidemark/protocol/api';
import { ERRORS, type ErrorCode } from '@tidemark/protocol/errors';
import fc from 'fast-check';
import { expect, test } from 'vitest';
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
  probed,
  Rig,
  repaired,
} from './transcripts/machine-rig.ts';

/**
 * W: the machine limits its requests to a relay whose answers never lead anywhere. Each kind of request has its own
 * answers, which arrive at once and repeat for an hour of the machine's clock. The waits are the shortest that the jitter
 * allows.
 */

const HOUR_MS = 60 * 60_000;
/** Upper bound on requests in the first minute and in the first hour. W7 states both. */
const MOST_IN_MINUTE = 150;
const MOST_IN_HOUR = 2_000;

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
});

test('W1 to W6: the machine limits its requests, whatever the relay answers', () => {
  fc.assert(
    fc.property(relay, ({ plans, failures, verdict }) => {
      const rig = new Rig({ watch: true, freshCopy: 'take' });
      rig.random = 0;
      const began = rig.now;
      let requests = 0;
      let inMinute = 0;
      let asked = 0;
      let aborted = false;
      const answer = (work: Work): Event => {
        const fault = failures[asked++ % failures.length];
        if (fault && REQUESTS.has(work)) return failed(work, ...fault);
        const status = probed(8, plans[asked % plans.length] ?? PLANS.none);
        switch (work) {
          case 'probe':
            return status;
          case 'poll':
            return { type: 'polled', status: status.status };
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
            return fetched(at(5), at(5));
        }
      };
      let pending: Work | null = 'poll';
      while (rig.now - began < HOUR_MS) {
        let effects: Effect[];
        if (aborted && pending === null) effects = rig.send({ type: 'aborted' });
        else if (pending !== null) effects = rig.send(answer(pending));
        else {
          const due = dueAt(rig.state);
          if (due === null) break;
          rig.now = Math.max(rig.now, due);
          effects = rig.send({ type: 'tick' });
        }
        [pending, aborted] = [null, false];
        for (const effect of effects) {
          if (effect.do === 'abort') [pending, aborted] = [null, true];
          if (REQUESTS.has(effect.do) || ['install', 'repair', 'discard', 'apply'].includes(effect.do))
            pending = effect.do as Work;
          if (!REQUESTS.has(effect.do)) continue;
          requests++;
          if (rig.now - began < 60_000) inMinute++;
        }
        expect(inMinute).toBeLessThanOrEqual(MOST_IN_MINUTE);
        expect(requests).toBeLessThanOrEqual(MOST_IN_HOUR);
      }
    }),
    { numRuns: 3000 },
  );
});
