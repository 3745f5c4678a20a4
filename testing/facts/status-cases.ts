import type { RelayStatus, SnapshotReason } from '@tidemark/protocol/api';
import { seq } from '@tidemark/protocol/cursor';
import { deriveStatus } from '@tidemark/status/derive';
import type { Facts } from '@tidemark/status/facts';
import { makeFormat } from '@tidemark/status/format';
import type { Severity, StatusCode } from '@tidemark/status/status';
import { describe, expect, test } from 'vitest';
import { at, EPOCH, facts, failedRun, NOW, probe } from './facts.ts';

/** Shared by the tests of `deriveStatus`: named facts, and tables of states with their expected wording. */

/** The number and date formats of the expected wording. */
export const UTC = makeFormat('en-GB', 'UTC');
/** Derives the status from the facts of a PC that is up to date, with these differences. */
export const status = (change: Partial<Facts> = {}) => deriveStatus(facts(change), NOW, UTC);
export const replica = (change: Partial<Facts['replica']>) => ({
  ...facts().replica,
  ...change,
});
export const HOUR = 3_600_000;

/** Facts in which changes of 12 MB are waiting, 3 MB on the network. The oldest is `msAgo` ms old. */
export const waiting = (changes: number, msAgo = 60_000) => {
  const behind = { transactions: Math.ceil(changes / 4), changes, bytes: 12_000_000, oldestAt: at(msAgo) };
  return {
    waiting: behind,
    probe: probe({
      head: { epoch: EPOCH, seq: seq(6000), committedAt: at(1000) },
      keepsUntil: at(msAgo - 30 * 24 * HOUR),
      behind,
      plan: { by: 'pages', scopes: 'all', bytes: 3_000_000, squashed: false },
    }),
  };
};
/** Facts in which the data selection has changed, so that the next sync fetches the rows that differ. */
export const difference: Partial<Facts> = {
  probe: probe({
    behind: null,
    plan: { by: 'difference', scopes: 'all', rows: 12_400, tables: 3, bytes: 3_100_000 },
  }),
  waiting: null,
};
/**
 * Facts in which the head has moved but no change is in this PC's scopes. The relay may offer an empty page that only
 * moves the cursor.
 */
export const elsewhere = (plan: RelayStatus['plan']): Partial<Facts> => ({
  probe: probe({ head: { epoch: EPOCH, seq: seq(6000), committedAt: at(1000) }, plan }),
});
/** Facts in which the last run failed with this error, after the last probe. */
export const failing = (
  code: NonNullable<Facts['replica']['fault']>['code'],
  params: Record<string, string | number> = {},
): Partial<Facts> => ({
  lastRun: failedRun({ code, params }),
});
/** Facts in which the relay plans a fresh copy. */
export const snapshot = (reason: SnapshotReason, change: Partial<Facts> = {}): Partial<Facts> => ({
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

/** A state, the facts that lead to it, and every text that a person then sees. */
export interface Case {
  code: StatusCode;
  severity: Severity;
  facts: Partial<Facts>;
  headline: string;
  detail: string;
  short: string;
  primary: string | null;
  name?: string;
}

/** `beside`: never the main state, so it has no case. */
type Subject = 'data' | 'fault' | 'activity' | 'head-office' | 'beside';

const SUBJECTS: Record<StatusCode, Subject> = {
  starting: 'activity',
  unknown: 'data',
  setup: 'activity',
  'never-synced': 'data',
  checking: 'activity',
  'first-sync': 'activity',
  syncing: 'activity',
  'syncing-slow': 'activity',
  finishing: 'activity',
  comparing: 'activity',
  repairing: 'activity',
  cancelling: 'activity',
  cancelled: 'data',
  'up-to-date': 'data',
  'up-to-date-old': 'data',
  stale: 'data',
  behind: 'data',
  'falling-behind': 'data',
  'feed-fault': 'head-office',
  'relay-behind': 'data',
  'set-aside': 'head-office',
  paused: 'activity',
  offline: 'fault',
  unreachable: 'fault',
  proxy: 'fault',
  busy: 'fault',
  'signed-out': 'fault',
  forbidden: 'fault',
  cert: 'fault',
  clock: 'data',
  upgrade: 'fault',
  resync: 'fault',
  'scopes-changed': 'data',
  altered: 'fault',
  differs: 'fault',
  horizon: 'data',
  rewound: 'fault',
  failed: 'fault',
  'disk-full': 'fault',
  'db-locked': 'fault',
  'db-damaged': 'fault',
  'log-large': 'beside',
  'agent-restarting': 'activity',
  'agent-down': 'activity',
};

/** Defines one test for each case, and one test that every state of the subject has a case. */
export function testCases(subject: Subject, cases: Case[]): void {
  describe('the wording of each state', () => {
    test.each(cases.map((each) => ({ ...each, title: `${each.code}${each.name ? `: ${each.name}` : ''}` })))(
      '$title',
      ({ facts: change, title: _, name: __, ...words }) => {
        const { code, severity, headline, detail, short, primary } = status(change);
        expect({ code, severity, headline, detail, short, primary: primary?.id ?? null }).toEqual(words);
      },
    );

    test('every state that can occur has a case', () => {
      const codes = Object.keys(SUBJECTS).filter((code) => SUBJECTS[code as StatusCode] === subject);
      expect([...new Set(cases.map(({ code }) => code))].sort()).toEqual(codes.sort());
    });
  });
}
