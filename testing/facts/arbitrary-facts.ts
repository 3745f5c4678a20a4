import { Epoch, seq } from '@tidemark/protocol/cursor';
import { ERRORS, type ErrorCode } from '@tidemark/protocol/errors';
import type { Run } from '@tidemark/protocol/run';
import { SET_ASIDE_REASONS, type SetAsideReason } from '@tidemark/protocol/trouble';
import { DEFAULT_THRESHOLDS, type Facts, Progress, REMAINING_KEPT, SET_ASIDE_NAMED } from '@tidemark/status/facts';
import fc from 'fast-check';
import { NOW, facts as upToDate } from './facts.ts';

/** Generates facts for property tests of the status and of the screens that show it. */

const time = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.integer({ min: -60 * 60_000, max: 30 * 60_000 }).map((offset) => NOW + offset),
  },
  {
    weight: 1,
    arbitrary: fc
      .date({
        min: new Date('0001-01-01'),
        max: new Date('9999-12-31'),
        noInvalidDate: true,
      })
      .map((date) => date.getTime()),
  },
);
const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: null, freq: 3 });
const count = fc.oneof(fc.nat(5), fc.nat(Number.MAX_SAFE_INTEGER));
const number = fc.nat(4).map(seq);
const epoch = fc.constantFrom('aaaaaaaa', 'bbbbbbbb').map((each) => Epoch.parse(each));
const cursor = fc.record({ epoch, seq: number });
const fault = fc.record({
  code: fc.constantFrom(...(Object.keys(ERRORS) as ErrorCode[])),
  params: fc.dictionary(
    fc.constantFrom('relay', 'detail', 'file', 'feed', 'table'),
    fc.oneof(fc.string(), fc.double({ noNaN: true, noDefaultInfinity: true })),
  ),
});
const reason = fc.constantFrom(
  'first' as const,
  'cheaper' as const,
  'behind_horizon' as const,
  'epoch_changed' as const,
  'cursor_ahead' as const,
  'scopes_changed' as const,
);
const status = fc.record({
  protocol: fc.oneof({ weight: 5, arbitrary: fc.constant(1) }, { weight: 1, arbitrary: fc.nat(9) }),
  relay: fc.record({ name: fc.string(), version: fc.string() }),
  now: time,
  head: maybe(fc.record({ epoch, seq: number, committedAt: time })),
  horizon: number,
  keepsUntil: maybe(time),
  behind: maybe(
    fc.record({
      transactions: count,
      changes: count,
      bytes: count,
      oldestAt: maybe(time),
    }),
  ),
  plan: fc.oneof(
    fc.constant({ by: 'none' as const }),
    fc.record({ by: fc.constant('pages' as const), scopes: fc.constant('all'), bytes: count, squashed: fc.boolean() }),
    fc.record({
      by: fc.constant('difference' as const),
      scopes: fc.constant('all'),
      rows: count,
      tables: count,
      bytes: count,
    }),
    fc.record({
      by: fc.constant('snapshot' as const),
      scopes: fc.constant('all'),
      reason,
      rows: count,
      tables: count,
      bytes: count,
    }),
  ),
  feed: fc.record({
    connected: fc.boolean(),
    heardAt: maybe(time),
    lagMs: maybe(fc.double({ min: 0, max: 1e7, noNaN: true })),
    fault: fc.option(
      fc.record({
        code: fc.constantFrom('source_lost' as const, 'disk_full' as const, 'internal' as const),
        since: time,
      }),
      { nil: undefined, freq: 2 },
    ),
    troubled: fc.option(fc.integer({ min: 1, max: 600 }), { nil: undefined, freq: 2 }),
  }),
});
const progress = fc.record({
  runId: fc.string(),
  startedAt: time,
  stage: fc.constantFrom(...Progress.shape.stage.options),
  unit: fc.constantFrom('rows' as const, 'changes' as const),
  done: count,
  total: count,
  bytes: count,
  bytesTotal: count,
  table: maybe(fc.string()),
  tableIndex: count,
  tableCount: count,
  target: maybe(number),
  lastDataAt: time,
  deadlineAt: maybe(time),
  rate: maybe(fc.double({ min: 0, noNaN: true, noDefaultInfinity: true })),
  etaS: maybe(fc.double({ min: 0, noNaN: true, noDefaultInfinity: true })),
});
const run = fc.record({
  id: fc.string(),
  startedAt: time,
  endedAt: time,
  trigger: fc.constantFrom('manual' as const, 'schedule' as const, 'watch' as const),
  mode: fc.constantFrom('now' as const, 'check' as const, 'recopy' as const, 'verify' as const),
  outcome: fc.constantFrom('done' as const, 'nothing-new' as const, 'cancelled' as const, 'failed' as const),
  from: maybe(cursor),
  to: maybe(cursor),
  snapshot: maybe(reason),
  inserted: count,
  updated: count,
  deleted: count,
  truncated: count,
  tables: fc.constant<Run['tables']>([]),
  bytes: count,
  left: maybe(count),
  retries: count,
  fault: maybe(fault),
});
const phase = fc.oneof(
  { weight: 6, arbitrary: fc.constant({ kind: 'idle' as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'starting' as const }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('checking' as const),
      since: time,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('syncing' as const),
      first: fc.boolean(),
      progress,
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('cancelling' as const),
      since: time,
    }),
  },
);
const REASONS = Object.keys(SET_ASIDE_REASONS) as SetAsideReason[];
/** Mostly none, so that other states occur too. */
const setAside = fc.oneof(
  { weight: 3, arbitrary: fc.constant<Facts['replica']['setAside']>({ count: 0, tables: [] }) },
  {
    weight: 1,
    arbitrary: fc
      .array(fc.record({ name: fc.string({ minLength: 1 }), reason: fc.constantFrom(...REASONS), asOf: time }), {
        minLength: 1,
        maxLength: SET_ASIDE_NAMED,
      })
      .chain((tables) => fc.nat(600).map((more) => ({ count: tables.length + more, tables }))),
  },
);
const agent: fc.Arbitrary<Facts['agent']> = fc.oneof(
  { weight: 8, arbitrary: fc.constant({ state: 'alive' as const }) },
  { weight: 1, arbitrary: fc.constant({ state: 'starting' as const }) },
  { weight: 1, arbitrary: fc.record({ state: fc.constant('restarting' as const), restarts: count, since: time }) },
  { weight: 1, arbitrary: fc.record({ state: fc.constant('down' as const), restarts: count, since: time }) },
);
/** Any facts that the schema allows, with values close to each other, so that all states occur. */
export const anyFacts: fc.Arbitrary<Facts> = fc.record({
  unencrypted: fc.boolean(),
  configured: fc.boolean().chain((no) => (no ? fc.boolean() : fc.constant(true))),
  names: fc.record({
    central: fc.string(),
    relay: fc.string(),
    terminal: fc.string(),
  }),
  agent,
  phase,
  paused: fc.option(fc.record({ since: time, until: maybe(time), by: fc.string() }), { nil: null, freq: 2 }),
  online: fc.constantFrom(true, true, true, null, false),
  replica: fc.record({
    cursor: maybe(cursor),
    committedAt: maybe(time),
    tables: count,
    rows: count,
    setAside,
    log: maybe(fc.record({ file: fc.string(), bytes: count, heldSince: maybe(time) })),
    fault: fc.oneof({ weight: 6, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: fault }),
  }),
  probe: maybe(fc.record({ at: time, for: maybe(cursor), status })),
  waiting: maybe(
    fc.record({
      transactions: fc.nat(1),
      changes: fc.nat(1),
      bytes: count,
      oldestAt: maybe(time),
    }),
  ),
  lastSuccess: maybe(run),
  lastRun: maybe(run),
  trend: fc.array(fc.record({ at: time, changes: count, head: number, cursor: number }), { maxLength: 10 }),
  remaining: fc.array(fc.nat(9), { maxLength: REMAINING_KEPT }),
  retry: fc.oneof(
    { weight: 3, arbitrary: fc.constant(null) },
    { weight: 1, arbitrary: fc.record({ attempt: count, nextAt: time }) },
  ),
  schedule: fc.record({
    everyMs: maybe(fc.integer({ min: 1000, max: 3_600_000 })),
    nextAt: maybe(time),
  }),
  clockSkewMs: maybe(fc.double({ min: -1e12, max: 1e12, noNaN: true })),
  thresholds: fc.constant(DEFAULT_THRESHOLDS),
});
/** Facts close to the border of `up-to-date`: a PC that is up to date except for a few of them. */
export const nearlyUpToDate: fc.Arbitrary<Facts> = fc
  .tuple(anyFacts, fc.subarray(Object.keys(upToDate()) as (keyof Facts)[], { maxLength: 4 }))
  .map(([other, keys]) => ({ ...upToDate(), ...Object.fromEntries(keys.map((key) => [key, other[key]])) }));
