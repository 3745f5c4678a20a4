import type { RelayStatus } from '@tidemark/protocol/api';
import { Epoch, seq } from '@tidemark/protocol/cursor';
import { at, EPOCH, failedRun, probe, RUN } from '@tidemark/testing/facts';
import {
  type Case,
  difference,
  elsewhere,
  failing,
  HOUR,
  replica,
  snapshot,
  status,
  testCases,
  waiting,
} from '@tidemark/testing/status-cases';
import { describe, expect, test } from 'vitest';
import type { Facts } from './facts.ts';

const backlog = waiting(50_000);
const cheaper: Partial<Facts> = {
  ...backlog,
  probe: probe({
    head: { epoch: EPOCH, seq: seq(6000), committedAt: at(1000) },
    behind: backlog.waiting,
    plan: { by: 'snapshot', scopes: 'all', reason: 'cheaper', rows: 200_000, tables: 6, bytes: 21_000_000 },
  }),
};

/** Facts in which the relay's last answer describes the feed in this way. */
const feed = (change: Partial<RelayStatus['feed']>): Partial<Facts> => ({
  probe: probe({ feed: { connected: true, heardAt: at(60_500), lagMs: 40, ...change } }),
});
const setAside = { count: 1, tables: [{ name: 'orders', reason: 'no_key' as const, asOf: at(HOUR) }] };

const CASES: Case[] = [
  {
    code: 'unknown',
    severity: 'unknown',
    facts: { probe: null, waiting: null, lastRun: null, lastSuccess: null },
    headline: 'Status not known yet',
    detail: 'Waiting for the first answer from the sync server',
    short: 'Status not known',
    primary: 'check',
  },
  {
    code: 'unknown',
    name: 'no answer since the start',
    severity: 'unknown',
    facts: { probe: null, waiting: null },
    headline: 'Status not known yet',
    detail: 'The last sync ended at 10:41; HQ-1 was not asked since',
    short: 'Status not known',
    primary: 'check',
  },
  {
    code: 'unknown',
    name: 'an answer from the future',
    severity: 'unknown',
    facts: { probe: probe({}, -HOUR) },
    headline: 'Status not known yet',
    detail: 'The last answer is dated 11:42: the clock of this PC was probably set back',
    short: 'Status not known',
    primary: 'check',
  },
  {
    code: 'never-synced',
    severity: 'info',
    facts: snapshot('first', {
      replica: replica({ cursor: null, committedAt: null }),
      lastRun: null,
      lastSuccess: null,
    }),
    headline: 'No data yet',
    detail: 'This PC has never synced. 6 tables ready to download (about 21 MB)',
    short: 'No data yet',
    primary: 'first-sync',
  },
  {
    code: 'cancelled',
    severity: 'info',
    facts: {
      ...waiting(4070),
      lastRun: { ...RUN, outcome: 'cancelled', endedAt: at(1000), left: 4070 },
    },
    headline: 'Sync cancelled',
    detail: '1,240 changes were saved. 4,070 still waiting; the next sync continues from here',
    short: '4,070 changes waiting',
    primary: 'sync-now',
  },
  {
    // The number at the end of the run says nothing about the present number, which is unknown.
    code: 'cancelled',
    severity: 'info',
    facts: {
      ...waiting(4070),
      waiting: null,
      lastRun: { ...RUN, outcome: 'cancelled', endedAt: at(1000), left: 0 },
    },
    headline: 'Sync cancelled',
    detail: '1,240 changes were saved. The next sync continues from here',
    short: 'Sync cancelled',
    primary: 'sync-now',
  },
  {
    code: 'up-to-date',
    severity: 'ok',
    facts: {},
    headline: 'Up to date',
    detail: 'As of 10:40 · 0 changes waiting · position 5,310',
    short: 'Up to date as of 10:40',
    primary: 'check',
  },
  {
    code: 'up-to-date-old',
    severity: 'info',
    facts: { probe: probe({}, 3 * HOUR) },
    headline: 'Was up to date at 07:41',
    detail: 'Not checked for 3 hours',
    short: 'Last checked 3 h ago',
    primary: 'check',
  },
  {
    code: 'stale',
    severity: 'warn',
    facts: { probe: probe({}, 41 * HOUR + 37 * 60_000) },
    headline: 'Not checked since 21 Nov 17:05',
    detail: 'Data may be out of date. Automatic checks are off',
    short: 'Not checked since 21 Nov 17:05',
    primary: 'sync-now',
  },
  {
    code: 'stale',
    name: 'automatic checks that did not run',
    severity: 'warn',
    facts: {
      probe: probe({}, HOUR),
      schedule: { everyMs: 5 * 60_000, nextAt: null },
    },
    headline: 'Not checked since 09:42',
    detail: 'Data may be out of date. Automatic checks are every 5 minutes',
    short: 'Not checked since 09:42',
    primary: 'sync-now',
  },
  {
    code: 'behind',
    severity: 'info',
    facts: waiting(1284, 87 * 60_000),
    headline: '1,284 changes waiting',
    detail: 'Oldest is from 09:15 (1 h 27 min ago) · about 3 MB',
    short: '1,284 changes waiting',
    primary: 'sync-now',
  },
  {
    code: 'behind',
    name: 'past the limit of changes',
    severity: 'warn',
    facts: waiting(10_000),
    headline: '10,000 changes waiting',
    detail: 'Oldest is from 10:41 (1 min ago) · about 3 MB',
    short: '10,000 changes waiting',
    primary: 'sync-now',
  },
  {
    code: 'behind',
    name: 'past the limit of age',
    severity: 'warn',
    facts: waiting(1, 4 * HOUR),
    headline: '1 change waiting',
    detail: 'Oldest is from 06:42 (4 h ago) · about 3 MB',
    short: '1 change waiting',
    primary: 'sync-now',
  },
  {
    code: 'behind',
    name: 'only the head of the relay is known',
    severity: 'info',
    facts: {
      probe: probe({
        head: { epoch: EPOCH, seq: seq(5313), committedAt: at(0) },
      }),
      waiting: null,
    },
    headline: '3 transactions waiting',
    detail: 'Newer data is ready on HQ-1',
    short: '3 transactions waiting',
    primary: 'sync-now',
  },
  {
    code: 'horizon',
    severity: 'warn',
    facts: waiting(1284, 22 * 24 * HOUR),
    headline: 'Sync before 1 Dec 10:42',
    detail: '1,284 changes waiting · about 3 MB. HQ-1 keeps them until then; after that a fresh copy is needed',
    short: 'Sync before 1 Dec 10:42',
    primary: 'sync-now',
  },
  {
    code: 'falling-behind',
    severity: 'warn',
    facts: {
      ...waiting(1284),
      trend: [{ at: at(60_000), changes: 1284, head: seq(6000), cursor: seq(5300) }],
      remaining: [500, 800, 1000, 1284],
    },
    headline: '1,284 changes waiting and growing',
    detail: 'Changes arrive faster than this PC receives them · Oldest is from 10:41 (1 min ago) · about 3 MB',
    short: 'Falling behind',
    primary: 'sync-now',
  },
  {
    code: 'relay-behind',
    severity: 'warn',
    facts: {
      probe: probe({
        feed: { connected: true, heardAt: at(60_000), lagMs: 12 * 60_000 },
      }),
    },
    headline: 'This PC matches HQ-1, but HQ-1 is 12 min behind Central database',
    detail: 'Newer data may exist at head office and is not available yet',
    short: 'Sync server 12 min behind',
    primary: 'check',
  },
  {
    code: 'relay-behind',
    name: 'the feed is silent',
    severity: 'warn',
    facts: {
      probe: probe({
        feed: { connected: false, heardAt: at(13 * 60_000), lagMs: 20 },
      }),
    },
    headline: 'This PC matches HQ-1, but HQ-1 is 12 min behind Central database',
    detail: 'Newer data may exist at head office and is not available yet',
    short: 'Sync server 12 min behind',
    primary: 'check',
  },
  {
    code: 'relay-behind',
    name: 'the relay never heard from the feed',
    severity: 'warn',
    facts: {
      probe: probe({ feed: { connected: false, heardAt: null, lagMs: null } }),
    },
    headline: 'This PC matches HQ-1, but HQ-1 has no contact with Central database',
    detail: 'Newer data may exist at head office and is not available yet',
    short: 'No contact with head office',
    primary: 'check',
  },
  {
    code: 'behind',
    name: 'a copy is cheaper than the changes',
    severity: 'warn',
    facts: cheaper,
    headline: '50,000 changes waiting',
    detail: 'Oldest is from 10:41 (1 min ago) · about 21 MB as a fresh copy',
    short: '50,000 changes waiting',
    primary: 'sync-now',
  },
  {
    code: 'behind',
    name: 'half of the backlog was applied since the last answer',
    severity: 'info',
    facts: {
      ...waiting(1284),
      waiting: { transactions: 160, changes: 640, bytes: 6_000_000, oldestAt: at(60_000) },
      replica: replica({ cursor: { epoch: EPOCH, seq: seq(5700) } }),
    },
    headline: '640 changes waiting',
    detail: 'Oldest is from 10:41 (1 min ago) · about 1.5 MB',
    short: '640 changes waiting',
    primary: 'sync-now',
  },
  {
    code: 'up-to-date',
    name: 'S10: newer transactions at the relay are for other branches',
    severity: 'ok',
    facts: elsewhere({ by: 'none' }),
    headline: 'Up to date',
    detail: 'As of 10:40 · 0 changes waiting · position 5,310',
    short: 'Up to date as of 10:40',
    primary: 'check',
  },
  {
    code: 'up-to-date',
    name: 'S10: an empty page would only move the position',
    severity: 'ok',
    facts: elsewhere({ by: 'pages', scopes: 'all', bytes: 120, squashed: false }),
    headline: 'Up to date',
    detail: 'As of 10:40 · 0 changes waiting · position 5,310',
    short: 'Up to date as of 10:40',
    primary: 'check',
  },
  {
    code: 'scopes-changed',
    severity: 'info',
    facts: difference,
    headline: 'The data selection of this PC changed',
    detail: 'About 3.1 MB to download: 12,400 rows in 3 tables. The data here stays readable during the download',
    short: 'Data selection changed: about 3.1 MB to download',
    primary: 'sync-now',
  },
  {
    code: 'scopes-changed',
    name: 'a copy is cheaper than the difference',
    severity: 'info',
    facts: snapshot('scopes_changed'),
    headline: 'The data selection of this PC changed',
    detail:
      'About 21 MB to download: a fresh copy of 200,000 rows in 6 tables. The data here stays readable during the download',
    short: 'Data selection changed: about 21 MB to download',
    primary: 'sync-now',
  },
  {
    code: 'scopes-changed',
    name: 'noticed in the middle of a sync',
    severity: 'info',
    facts: failing('scopes_changed'),
    headline: 'The data selection of this PC changed',
    detail: 'The next sync downloads the rows that differ. The data here stays readable during the download',
    short: 'Data selection changed',
    primary: 'sync-now',
  },
  {
    code: 'clock',
    severity: 'warn',
    facts: { clockSkewMs: -7 * 60_000 },
    headline: "This PC's clock is 7 min off",
    detail:
      "Times shown may be wrong and sign-in can fail. The clock is behind the sync server's; correct it in the time settings of this PC",
    short: 'Clock is off',
    primary: 'check',
  },
];

testCases('data', CASES);

describe('the conditions of up-to-date', () => {
  const NOT_CURRENT: [string, Partial<Facts>][] = [
    ['the relay never answered', { probe: null }],
    [
      'the cursor is below the head, and the transactions in between were not counted',
      {
        probe: probe({
          head: { epoch: EPOCH, seq: seq(5311), committedAt: at(0) },
        }),
        waiting: null,
      },
    ],
    ['the cursor is past the head', { replica: replica({ cursor: { epoch: EPOCH, seq: seq(5311) } }) }],
    ['another data selection is due, though the cursor is the head', difference],
    [
      'nothing waits for another history',
      {
        ...elsewhere({ by: 'none' }),
        replica: replica({ cursor: { epoch: Epoch.parse('aaaaaaaa'), seq: seq(5310) } }),
      },
    ],
    ['the answer is old', { probe: probe({}, 16 * 60_000) }],
    [
      'the relay lags',
      {
        probe: probe({
          feed: { connected: true, heardAt: at(60_000), lagMs: 300_000 },
        }),
      },
    ],
    [
      "the relay's lag is not known",
      {
        probe: probe({
          feed: { connected: true, heardAt: at(60_000), lagMs: null },
        }),
      },
    ],
    ['the relay does not hear from the feed', feed({ connected: false })],
    ['the feed reports a fault', feed({ fault: { code: 'source_lost', since: at(60_000) } })],
    ['a table is in trouble at head office', feed({ troubled: 1 })],
    ['a table is set aside here', { replica: replica({ setAside }) }],
    ['an attempt failed since', failing('internal', { detail: 'x' })],
    ['a retry is due', { retry: { attempt: 1, nextAt: at(-1000) } }],
    ['changes wait, whatever the head says', { waiting: { transactions: 1, changes: 1, bytes: 10, oldestAt: null } }],
    ['a transaction without changes waits', { waiting: { transactions: 1, changes: 0, bytes: 10, oldestAt: null } }],
  ];
  test.each(NOT_CURRENT)('are not met when %s', (_, change) => {
    expect(status(change).code).not.toBe('up-to-date');
  });

  test('a later answer of the relay ends a connection fault', () => {
    const change = {
      lastRun: failedRun({ code: 'relay_unreachable', params: {} }, { endedAt: at(90_000) }),
    };
    expect(status(change).code).toBe('up-to-date');
  });

  test('a downloaded difference is no longer due, although the cursor did not move', () => {
    const waiting = { transactions: 0, changes: 0, bytes: 0, oldestAt: null };
    expect(status({ ...difference, waiting }).code).toBe('up-to-date');
  });

  test("other branches' changes never count as this PC's backlog", () => {
    const shown = status({
      ...elsewhere({ by: 'none' }),
      waiting: { transactions: 2, changes: 0, bytes: 40, oldestAt: null },
    });
    expect(shown.headline).toBe('2 transactions waiting');
  });

  test('a later answer of the relay does not end a fault in the data', () => {
    expect(
      status({
        lastRun: failedRun({ code: 'page_invalid', params: { detail: 'x' } }, { endedAt: at(90_000) }),
      }).code,
    ).toBe('failed');
  });
});

describe('feed silence', () => {
  const silent = (msAgo: number, connected: boolean) =>
    status({ probe: probe({ now: at(0), feed: { connected, heardAt: at(msAgo), lagMs: msAgo + 1000 } }, 0) });

  test('shows the last contact instead of up-to-date, before the relay counts as behind', () => {
    expect(silent(3 * 60_000, false)).toMatchObject({
      ...{ code: 'relay-behind', severity: 'warn', since: at(3 * 60_000), attention: [] },
      headline: 'HQ-1 has not heard from head office since 10:39',
      detail: 'Newer data may exist there. It arrives when the connection is back',
      short: 'Head office not heard since 10:39',
    });
  });

  test('shows the last contact when the answer is no longer fresh', () => {
    const feed = { connected: false, heardAt: at(3_603_000), lagMs: 3000 };
    expect(status({ probe: probe({ now: at(3_600_000), feed }, 3_600_000) })).toMatchObject({
      code: 'relay-behind',
      detail: 'Last checked at 09:42. Newer data may exist there. It arrives when the connection is back',
    });
  });

  test('does not warn while the relay hears from the feed, and warns when long silence puts the relay behind', () => {
    expect(silent(4000, true)).toMatchObject({ code: 'up-to-date', attention: [] });
    expect(silent(6 * 60_000, false)).toMatchObject({ code: 'relay-behind', attention: [] });
  });

  test('warns in addition to reporting a backlog', () => {
    const { probe: probed, ...rest } = waiting(12);
    const feed = { connected: false, heardAt: at(3 * 60_000), lagMs: 0 };
    const shown = status({ ...rest, probe: { ...probed, status: { ...probed.status, feed } } });
    expect(shown.code).toBe('behind');
    expect(shown.attention.map(({ code }) => code)).toEqual(['relay-behind']);
  });
});

describe('the trend of the backlog', () => {
  const samples = (...rows: [changes: number, head: number, cursor: number][]) => ({
    trend: rows.map(([changes, head, cursor], i) => ({
      at: at((rows.length - i) * 1000),
      changes,
      head: seq(head),
      cursor: seq(cursor),
    })),
  });
  test.each([
    ['none yet', samples(), null],
    ['too few', samples([5, 10, 5], [6, 11, 5]), null],
    ['caught up', samples([0, 10, 10]), 'caught up'],
    ['catching up', samples([9, 20, 10], [5, 21, 16], [2, 22, 20]), 'catching up'],
    [
      'falling behind',
      { ...samples([2, 20, 18], [5, 30, 24], [9, 40, 30]), remaining: [1, 2, 5, 9] },
      'falling behind',
    ],
    ['too few pulls', { ...samples([2, 20, 18], [5, 30, 24], [9, 40, 30]), remaining: [2, 5, 9] }, 'steady'],
    [
      'a pull that left fewer',
      { ...samples([2, 20, 18], [5, 30, 24], [9, 40, 30]), remaining: [1, 0, 5, 9] },
      'steady',
    ],
    ['more at each check, because nobody pulls', samples([2, 20, 18], [5, 30, 24], [9, 40, 30]), 'steady'],
    ['steady', samples([5, 20, 15], [9, 30, 20], [5, 40, 35]), 'steady'],
    ['stuck: the cursor does not move', samples([2, 20, 18], [5, 23, 18], [9, 27, 18]), 'stuck'],
    ['rewound: the head went back', samples([2, 20, 18], [2, 5, 18]), 'rewound'],
  ])('%s', (_, change, trend) => {
    expect(status(change).trend).toBe(trend);
  });
});
