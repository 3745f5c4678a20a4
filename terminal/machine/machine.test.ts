import type { ErrorCode } from '@tidemark/protocol/errors';
import type { Mode } from '@tidemark/protocol/run';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { dueAt } from './machine.ts';
import { at, cursor, failed, page, Rig, status } from './machine-rig.ts';
import type { Event, Work } from './machine-types.ts';

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
