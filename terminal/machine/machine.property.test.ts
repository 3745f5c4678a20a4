import type { ErrorCode } from '@tidemark/protocol/errors';
import type { Mode } from '@tidemark/protocol/run';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
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
  start,
} from './transcripts/machine-rig.ts';

/** The relay's usual plan for a replica at `from`. */
const usualPlan = (from: number, head: number, kind: 'pages' | 'compacted' = 'pages') =>
  from === head ? PLANS.none : PLANS[kind];

describe('after any sequence of events', () => {
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
    fc.constantFrom<Mode>('now', 'check', 'one', 'recopy', 'verify').map((mode) => start(mode)),
    fc.constantFrom<Event>(
      { type: 'cancel' },
      { type: 'resume' },
      { type: 'tick' },
      { type: 'woke' },
      { type: 'aborted' },
      { type: 'downloaded' },
      { type: 'online' },
      { type: 'pause', until: null, by: 'you' },
    ),
    fc
      .tuple(small, small, fc.constantFrom('pages' as const, 'compacted' as const))
      .map(([from, head, kind]) => probed(head, usualPlan(Math.min(from, head), head, kind))),
    fc.tuple(small, small).map(([from, to]) => fetched(at(from), at(to))),
    small.map((n) => applied(n)),
    small.map(installed),
    small.map(repaired),
    fc.constantFrom<Verdict>('equal', 'repair', 'copy').map(compared),
    fc.tuple(small, fc.boolean()).map(([head, altered]) => probed(head, PLANS.scopesChanged, altered)),
    small.map((head) => probed(head, bySnapshot('behind_horizon'))),
    small.map((n) => manifest(n)),
    fc
      .tuple(fc.constantFrom<Work>('probe', 'fetch', 'apply', 'download', 'compare', 'repair'), fault)
      .map(([work, code]) => failed(work, code)),
  );

  test('each run ends once and before the next begins, and stop ends the machine', () => {
    fc.assert(
      fc.property(
        fc.array(event, { maxLength: 60 }),
        fc.constantFrom('take' as const, 'ask' as const),
        (events, freshCopy) => {
          const rig = new Rig({ freshCopy, everyMs: 60_000, automatic: 'sync' });
          rig.random = 0.5;
          for (const each of events) {
            rig.now += 20_000;
            rig.send(each);
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

  test('C7: every run ends, and repairs at most once, whatever the results of its pages, comparisons and repairs', () => {
    const outcome = fc.record({
      plan: fc.constantFrom('pages' as const, 'scopesChanged' as const, 'none' as const),
      altered: fc.boolean(),
      apply: fc.constantFrom<ErrorCode | null>('replica_altered', 'page_invalid', 'schema_mismatch', null),
      verdict: fc.constantFrom<Verdict>('equal', 'repair', 'copy'),
      repair: fc.constantFrom<ErrorCode | null>('replica_altered', null),
    });
    fc.assert(
      fc.property(
        fc.array(outcome, { minLength: 1, maxLength: 6 }),
        fc.constantFrom<Mode>('now', 'verify', 'one'),
        (outcomes, mode) => {
          const rig = new Rig();
          rig.send(start(mode));
          let repairs = 0;
          for (let steps = 0; rig.state.at !== 'idle'; steps++) {
            expect(steps).toBeLessThan(60);
            const now = outcomes[steps % outcomes.length] ?? outcomes[0];
            if (!now) return;
            const { state } = rig;
            const from = state.cursor?.seq ?? 0;
            switch (state.at) {
              case 'checking':
                rig.send(probed(9, now.plan === 'pages' ? usualPlan(from, 9) : PLANS[now.plan], now.altered));
                break;
              case 'waiting-for-snapshot':
                rig.send(manifest(Math.max(from, 7), 'ab'));
                break;
              case 'pulling':
                if (!state.applying) rig.send(fetched(at(from), at(from + 1)));
                else rig.send(now.apply === null ? applied(from + 1) : failed('apply', now.apply));
                break;
              case 'comparing':
                rig.send(compared(now.verdict));
                break;
              case 'repairing':
                if (now.repair === null) repairs++;
                rig.send(now.repair === null ? repaired(state.manifest.cursor.seq) : failed('repair', now.repair));
                break;
              case 'downloading-snapshot':
                rig.send({ type: 'downloaded' });
                break;
              case 'installing-snapshot':
                rig.send(installed(7));
                break;
              default:
                rig.now = dueAt(state) ?? rig.now;
                rig.send({ type: 'tick' });
            }
          }
          expect(repairs).toBeLessThanOrEqual(1);
        },
      ),
      { numRuns: 2000 },
    );
  });
});
