import { describe, expect, test } from 'vitest';
import { seq } from '../cursor.ts';
import { deriveStatus } from './derive.ts';
import type { Facts } from './facts.ts';
import { makeFormat } from './format.ts';
import type { Severity, StatusCode } from './status.ts';
import { at, EPOCH, facts, failedRun, NOW, PROGRESS, probe, RUN } from './testing.ts';

const UTC = makeFormat('en-GB', 'UTC');
const status = (change: Partial<Facts> = {}) => deriveStatus(facts(change), NOW, UTC);
const replica = (change: Partial<Facts['replica']>) => ({
  ...facts().replica,
  ...change,
});
const HOUR = 3_600_000;

const waiting = (changes: number, msAgo = 60_000) => ({
  waiting: {
    transactions: Math.ceil(changes / 4),
    changes,
    bytes: 3_000_000,
    oldestAt: at(msAgo),
  },
  probe: probe({
    head: { epoch: EPOCH, seq: seq(6000), committedAt: at(1000) },
    keepsUntil: at(msAgo - 30 * 24 * HOUR),
  }),
});
const failing = (
  code: NonNullable<Facts['replica']['fault']>['code'],
  params: Record<string, string | number> = {},
): Partial<Facts> => ({
  lastRun: failedRun({ code, params }),
});
const snapshot = (
  reason: 'first' | 'cheaper' | 'behind_horizon' | 'epoch_changed' | 'cursor_ahead',
  change: Partial<Facts> = {},
): Partial<Facts> => ({
  probe: {
    ...probe({
      behind: null,
      plan: {
        by: 'snapshot',
        scopes: 'all',
        reason,
        rows: 200_000,
        tables: 6,
        bytes: 21_000_000,
      },
    }),
    for: facts(change).replica.cursor,
  },
  waiting: null,
  ...change,
});

interface Case {
  code: StatusCode;
  severity: Severity;
  facts: Partial<Facts>;
  headline: string;
  detail: string;
  short: string;
  primary: string | null;
  name?: string;
}

const CASES: Case[] = [
  {
    code: 'starting',
    severity: 'unknown',
    facts: { agent: { state: 'starting' } },
    headline: 'Starting…',
    detail: 'Opening the local database',
    short: 'Starting',
    primary: null,
  },
  {
    code: 'unknown',
    severity: 'unknown',
    facts: { probe: null, waiting: null, lastRun: null, lastSuccess: null },
    headline: 'Status not known yet',
    detail: 'Waiting for the first answer from the sync agent',
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
    code: 'setup',
    severity: 'info',
    facts: { configured: false },
    headline: 'Not set up yet',
    detail: 'Connect this PC to a relay to receive data',
    short: 'Not set up',
    primary: 'set-up',
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
    code: 'checking',
    severity: 'busy',
    facts: { phase: { kind: 'checking', since: at(100) } },
    headline: 'Checking for changes…',
    detail: 'Asking HQ-1',
    short: 'Checking for changes',
    primary: 'cancel',
  },
  {
    code: 'first-sync',
    severity: 'busy',
    facts: {
      phase: {
        kind: 'syncing',
        first: true,
        progress: { ...PROGRESS, unit: 'rows' },
      },
      replica: replica({ cursor: null }),
    },
    headline: 'First sync: 1,240 of 5,310 rows',
    detail: 'orders (2 of 6 tables) · 400 rows/s · about 2 minutes left. You can keep working',
    short: 'First sync 23 %',
    primary: 'cancel',
  },
  {
    code: 'syncing',
    severity: 'busy',
    facts: { phase: { kind: 'syncing', first: false, progress: PROGRESS } },
    headline: 'Syncing: 1,240 of 5,310 changes',
    detail: '1.2 MB of 4.8 MB · about 2 minutes left · applying to orders',
    short: 'Syncing 23 %',
    primary: 'cancel',
  },
  {
    code: 'syncing-slow',
    severity: 'warn',
    facts: {
      phase: {
        kind: 'syncing',
        first: false,
        progress: {
          ...PROGRESS,
          stage: 'downloading',
          lastDataAt: at(35_000),
          deadlineAt: at(-25_000),
        },
      },
    },
    headline: 'Still waiting for the relay',
    detail: 'No data for 35 s. We keep trying until 10:42:25',
    short: 'Waiting for relay',
    primary: 'cancel',
  },
  {
    code: 'finishing',
    severity: 'busy',
    facts: {
      phase: {
        kind: 'syncing',
        first: false,
        progress: { ...PROGRESS, stage: 'finishing' },
      },
    },
    headline: 'Finishing…',
    detail: 'Saving position 6,000',
    short: 'Finishing',
    primary: null,
  },
  {
    code: 'cancelling',
    severity: 'busy',
    facts: { phase: { kind: 'cancelling', since: at(0) } },
    headline: 'Cancelling…',
    detail: 'Finishing the current batch so no data is lost',
    short: 'Cancelling',
    primary: null,
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
    short: 'Behind by 4,070',
    primary: 'sync-now',
  },
  {
    code: 'up-to-date',
    severity: 'ok',
    facts: {},
    headline: 'Up to date',
    detail: 'As of 10:41 · 0 changes waiting · position 5,310',
    short: 'Up to date as of 10:41',
    primary: 'check',
  },
  {
    code: 'up-to-date-old',
    severity: 'info',
    facts: { probe: probe({}, 3 * HOUR) },
    headline: 'Was up to date at 07:42',
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
    name: 'automatic checks that do not come',
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
    short: 'Behind by 1,284 changes',
    primary: 'sync-now',
  },
  {
    code: 'behind',
    name: 'past the limit of changes',
    severity: 'warn',
    facts: waiting(10_000),
    headline: '10,000 changes waiting',
    detail: 'Oldest is from 10:41 (1 min ago) · about 3 MB',
    short: 'Behind by 10,000 changes',
    primary: 'sync-now',
  },
  {
    code: 'behind',
    name: 'past the limit of age',
    severity: 'warn',
    facts: waiting(1, 4 * HOUR),
    headline: '1 change waiting',
    detail: 'Oldest is from 06:42 (4 h ago) · about 3 MB',
    short: 'Behind by 1 change',
    primary: 'sync-now',
  },
  {
    code: 'behind',
    name: 'only the head is known',
    severity: 'info',
    facts: {
      probe: probe({
        head: { epoch: EPOCH, seq: seq(5313), committedAt: at(0) },
      }),
      waiting: null,
    },
    headline: '3 transactions waiting',
    detail: 'Newer data is ready at the relay',
    short: 'Behind by 3 transactions',
    primary: 'sync-now',
  },
  {
    code: 'horizon',
    severity: 'warn',
    facts: waiting(1284, 22 * 24 * HOUR),
    headline: 'Sync before 1 Dec 10:42',
    detail: '1,284 changes waiting. The relay keeps them until then; after that a fresh copy is needed',
    short: 'Sync before 1 Dec 10:42',
    primary: 'sync-now',
  },
  {
    code: 'falling-behind',
    severity: 'warn',
    facts: {
      ...waiting(1284),
      trend: [800, 1000, 1284].map((changes, i) => ({
        at: at((3 - i) * 60_000),
        changes,
        head: seq(6000 + i * 100),
        cursor: seq(5300 + i * 5),
      })),
    },
    headline: '1,284 changes waiting and growing',
    detail: 'Changes arrive faster than this PC receives them · Oldest is from 10:41 (1 min ago)',
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
    headline: 'This PC matches the relay, but the relay is 12 min behind Central database',
    detail: 'Newer data exists at head office and is not available yet',
    short: 'Relay 12 min behind',
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
    headline: 'This PC matches the relay, but the relay is 12 min behind Central database',
    detail: 'Newer data exists at head office and is not available yet',
    short: 'Relay 12 min behind',
    primary: 'check',
  },
  {
    code: 'relay-behind',
    name: 'the relay never heard from the feed',
    severity: 'warn',
    facts: {
      probe: probe({ feed: { connected: false, heardAt: null, lagMs: null } }),
    },
    headline: 'This PC matches the relay, but the relay has no contact with Central database',
    detail: 'Newer data exists at head office and is not available yet',
    short: 'Relay lost head office',
    primary: 'check',
  },
  {
    code: 'paused',
    severity: 'info',
    facts: {
      ...waiting(12),
      paused: { since: at(100 * 60_000), until: at(-138 * 60_000), by: 'you' },
    },
    headline: 'Paused',
    detail: 'By you at 09:02 until 13:00. 12 changes waiting',
    short: 'Paused',
    primary: 'resume',
  },
  {
    code: 'offline',
    severity: 'warn',
    facts: { online: false },
    headline: 'This PC is offline',
    detail: 'No network connection. Showing data as of 10:40. Will retry when the network is back',
    short: 'Offline – data as of 10:40',
    primary: 'retry',
  },
  {
    code: 'unreachable',
    severity: 'warn',
    facts: {
      ...failing('relay_unreachable', {
        relay: 'relay.example:443',
        detail: 'timed out after 10 s',
      }),
      retry: { attempt: 3, nextAt: at(-25_000) },
    },
    headline: 'Cannot reach the relay',
    detail: 'relay.example:443 did not answer (timed out after 10 s). Local data is safe. Retrying in 0:25 (attempt 3)',
    short: 'Relay not reachable',
    primary: 'retry',
  },
  {
    code: 'proxy',
    severity: 'error',
    facts: failing('relay_not_tidemark', { relay: 'relay.example:443' }),
    headline: 'The network blocks the relay',
    detail:
      'Something else answered instead of the relay at relay.example:443, such as a proxy or a sign-in page. Local data is safe',
    short: 'Blocked by network',
    primary: 'retry',
  },
  {
    code: 'busy',
    severity: 'info',
    facts: {
      ...failing('relay_busy'),
      retry: { attempt: 1, nextAt: at(-180_000) },
    },
    headline: 'The relay is busy',
    detail: 'It asked us to wait until 10:45:00. Local data is safe',
    short: 'Relay busy',
    primary: 'retry',
  },
  {
    code: 'signed-out',
    severity: 'error',
    facts: failing('token_invalid'),
    headline: 'Sign-in needed',
    detail: "The relay does not accept this PC's key. Local data is safe",
    short: 'Needs attention',
    primary: 'enter-key',
  },
  {
    code: 'forbidden',
    severity: 'error',
    facts: failing('feed_denied', { feed: 'shop' }),
    headline: 'Not allowed',
    detail: 'This key is not for the feed shop. Ask your administrator. Local data is safe',
    short: 'Needs attention',
    primary: 'copy-details',
  },
  {
    code: 'cert',
    severity: 'error',
    facts: failing('relay_cert', { detail: 'expired yesterday' }),
    headline: "The relay's identity could not be verified",
    detail: 'Certificate: expired yesterday. Nothing was sent. Local data is safe',
    short: 'Needs attention',
    primary: 'copy-details',
  },
  {
    code: 'clock',
    severity: 'warn',
    facts: { clockSkewMs: -7 * 60_000 },
    headline: "This PC's clock is 7 min off",
    detail:
      "Times shown may be wrong and sign-in can fail. It is behind the relay's clock; set it in the time settings of this PC",
    short: 'Clock is off',
    primary: 'check',
  },
  {
    code: 'upgrade',
    severity: 'error',
    facts: failing('protocol_unsupported'),
    headline: 'Update required',
    detail: 'The relay and this program speak different versions. Update the older of the two. Local data is safe',
    short: 'Update required',
    primary: 'retry',
  },
  {
    code: 'resync',
    severity: 'error',
    facts: snapshot('behind_horizon'),
    headline: 'This PC was away too long',
    detail:
      'The changes it lacks are no longer kept. A fresh copy is needed: 6 tables, about 21 MB. The data here stays until the copy is complete',
    short: 'Fresh copy needed',
    primary: 'recopy',
  },
  {
    code: 'rewound',
    severity: 'error',
    facts: {
      ...snapshot('cursor_ahead'),
      replica: replica({ cursor: { epoch: EPOCH, seq: seq(6000) } }),
      ...failing('cursor_ahead'),
    },
    headline: "The relay's history restarted",
    detail:
      'Our position 6,000 is ahead of the relay (5,310). It was probably restored from a backup. A fresh copy is needed. The data here stays until the copy is complete',
    short: 'Needs attention',
    primary: 'recopy',
  },
  {
    code: 'failed',
    severity: 'error',
    facts: {
      lastRun: failedRun({ code: 'page_corrupt', params: {} }, { inserted: 1240, left: 4070 }),
    },
    headline: 'Sync stopped: data arrived damaged and was not used',
    detail: '1,240 of 5,310 changes were saved. Nothing was lost. Try again',
    short: 'Sync failed',
    primary: 'retry',
  },
  {
    code: 'failed',
    name: 'a database that cannot be written',
    severity: 'error',
    facts: {
      replica: replica({
        cursor: null,
        fault: {
          code: 'db_read_only',
          params: { file: '/data/branch.sqlite' },
        },
      }),
    },
    headline: 'Sync stopped: the database /data/branch.sqlite cannot be written to',
    detail: 'Nothing was changed. Check the rights on the file and its folder',
    short: 'Needs attention',
    primary: 'retry',
  },
  {
    code: 'disk-full',
    severity: 'error',
    facts: failing('disk_full', {
      detail: '120 MB free on C:, about 400 MB needed',
    }),
    headline: 'Not enough disk space',
    detail: '120 MB free on C:, about 400 MB needed. Free up space and try again. Nothing was lost',
    short: 'Disk full',
    primary: 'retry',
  },
  {
    code: 'db-locked',
    severity: 'warn',
    facts: {
      replica: replica({
        fault: { code: 'db_in_use', params: { file: 'app.db' } },
      }),
    },
    headline: 'The local database is in use',
    detail: 'Another program holds app.db. Close that program and try again. Nothing was lost',
    short: 'Database in use',
    primary: 'retry',
  },
  {
    code: 'db-damaged',
    severity: 'error',
    facts: {
      replica: replica({
        fault: {
          code: 'db_damaged',
          params: { file: 'app.db', detail: 'malformed page 7' },
        },
      }),
    },
    headline: 'The local database is damaged',
    detail: 'The local database app.db is damaged: malformed page 7. Head office still has all of its data',
    short: 'Needs attention',
    primary: 'recopy',
  },
  {
    code: 'agent-restarting',
    severity: 'busy',
    facts: { agent: { state: 'restarting', restarts: 1, since: at(1000) } },
    headline: 'Restarting the sync engine…',
    detail: 'It stopped unexpectedly (1 of 5 restarts). Your data is safe',
    short: 'Restarting',
    primary: null,
  },
  {
    code: 'agent-down',
    severity: 'error',
    facts: { agent: { state: 'down', restarts: 5, since: at(1000) } },
    headline: 'The sync engine stopped',
    detail: 'It failed 5 times in 10 minutes. Your data is safe',
    short: 'Sync engine stopped',
    primary: 'restart-agent',
  },
];

describe('each state in its words', () => {
  test.each(
    CASES.map((each) => ({
      ...each,
      title: `${each.code}${each.name ? `: ${each.name}` : ''}`,
    })),
  )('$title', ({ code, severity, facts: change, headline, detail, short, primary }) => {
    const shown = status(change);
    expect({
      code: shown.code,
      severity: shown.severity,
      headline: shown.headline,
      detail: shown.detail,
      short: shown.short,
      primary: shown.primary?.id ?? null,
    }).toEqual({
      code,
      severity,
      headline,
      detail,
      short,
      primary,
    });
  });

  test('every state that can occur has a case', () => {
    const all: Record<StatusCode, true> = Object.fromEntries(CASES.map(({ code }) => [code, true])) as Record<
      StatusCode,
      true
    >;
    expect(Object.keys(all).sort()).toEqual(
      [
        'agent-down agent-restarting behind busy cancelled cancelling cert checking clock db-damaged db-locked disk-full failed falling-behind',
        'finishing first-sync forbidden horizon never-synced offline paused proxy relay-behind resync rewound setup signed-out stale starting syncing',
        'syncing-slow unknown unreachable up-to-date up-to-date-old upgrade',
      ]
        .join(' ')
        .split(' ')
        .sort(),
    );
  });
});

describe('no false green', () => {
  const GREEN: [string, Partial<Facts>][] = [
    ['the relay never answered', { probe: null }],
    [
      'the cursor is not the head',
      {
        probe: probe({
          head: { epoch: EPOCH, seq: seq(5311), committedAt: at(0) },
        }),
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
    ['an attempt failed since', failing('internal', { detail: 'x' })],
    ['a retry is due', { retry: { attempt: 1, nextAt: at(-1000) } }],
    ['changes wait, whatever the head says', { waiting: { transactions: 1, changes: 1, bytes: 10, oldestAt: null } }],
    ['a transaction without changes waits', { waiting: { transactions: 1, changes: 0, bytes: 10, oldestAt: null } }],
  ];
  test.each(GREEN)('not when %s', (_, change) => {
    expect(status(change).code).not.toBe('up-to-date');
  });

  test('a later answer of the relay ends a fault of reaching it', () => {
    const change = {
      lastRun: failedRun({ code: 'relay_unreachable', params: {} }, { endedAt: at(90_000) }),
    };
    expect(status(change).code).toBe('up-to-date');
  });

  test('a later answer of the relay does not end a fault of the data', () => {
    expect(
      status({
        lastRun: failedRun({ code: 'page_invalid', params: { detail: 'x' } }, { endedAt: at(90_000) }),
      }).code,
    ).toBe('failed');
  });
});

describe('precedence', () => {
  test('what is wrong besides the first is listed, most important first', () => {
    const shown = status({
      ...failing('token_invalid'),
      ...waiting(20_000),
      paused: { since: at(0), until: null, by: 'you' },
      clockSkewMs: 600_000,
    });
    expect(shown.code).toBe('signed-out');
    expect(shown.attention.map(({ code }) => code)).toEqual(['behind', 'clock']);
  });

  test('a root cause is not listed again by its effects', () => {
    expect(status({ online: false, ...failing('relay_unreachable') }).attention).toEqual([]);
  });

  test('a fault stays visible while it is tried again', () => {
    const shown = status({
      ...failing('relay_unreachable'),
      phase: { kind: 'checking', since: at(0) },
    });
    expect(shown.code).toBe('checking');
    expect(shown.attention.map(({ code }) => code)).toEqual(['unreachable']);
  });

  test('data that flows outranks the fault that it got past, which stays listed', () => {
    const shown = status({
      ...failing('disk_full'),
      phase: { kind: 'syncing', first: false, progress: PROGRESS },
    });
    expect(shown.code).toBe('syncing');
    expect(shown.attention.map(({ code }) => code)).toEqual(['disk-full']);
  });

  test('the fresh copy that a resync asked for shows its progress', () => {
    expect(
      status({
        ...snapshot('behind_horizon'),
        phase: {
          kind: 'syncing',
          first: false,
          progress: { ...PROGRESS, unit: 'rows' },
        },
      }).code,
    ).toBe('syncing');
  });

  test('a snapshot that is only cheaper is an ordinary backlog', () => {
    expect(status({ ...snapshot('cheaper'), ...waiting(50_000) }).code).toBe('behind');
  });

  test('a run under way can be cancelled whatever else is shown', () => {
    const shown = status({
      ...failing('token_invalid'),
      phase: { kind: 'checking', since: at(0) },
    });
    expect(shown.secondary.map(({ id }) => id)).toContain('cancel');
  });

  test('a plan made for another position is not believed', () => {
    const stalePlan = snapshot('behind_horizon');
    expect(
      status({
        ...stalePlan,
        probe: {
          ...(stalePlan.probe ?? probe()),
          for: { epoch: EPOCH, seq: seq(3) },
        },
      }).code,
    ).toBe('up-to-date');
  });
});

describe('trend', () => {
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
    ['falling behind', samples([2, 20, 18], [5, 30, 24], [9, 40, 30]), 'falling behind'],
    ['steady', samples([5, 20, 15], [9, 30, 20], [5, 40, 35]), 'steady'],
    ['stuck: the cursor stands', samples([2, 20, 18], [5, 23, 18], [9, 27, 18]), 'stuck'],
    ['rewound: the head fell', samples([2, 20, 18], [2, 5, 18]), 'rewound'],
  ])('%s', (_, change, trend) => {
    expect(status(change).trend).toBe(trend);
  });
});
