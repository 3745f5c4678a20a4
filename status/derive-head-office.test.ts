import type { RelayStatus } from '@tidemark/protocol/api';
import { seq } from '@tidemark/protocol/cursor';
import type { FeedFaultCode, SetAsideReason } from '@tidemark/protocol/trouble';
import { at, EPOCH, NOW, facts as of, probe } from '@tidemark/testing/facts';
import { type Case, HOUR, replica, status, testCases, UTC, waiting } from '@tidemark/testing/status-cases';
import { describe, expect, test } from 'vitest';
import type { Facts } from './facts.ts';
import { shortfallOf } from './shortfall.ts';

/** Returns facts in which the relay's last answer, `msAgo` ms old, describes the feed in this way. */
const feed = (change: Partial<RelayStatus['feed']>, msAgo = 60_000): Partial<Facts> => ({
  probe: probe({ feed: { connected: true, heardAt: at(msAgo + 500), lagMs: 40, ...change } }, msAgo),
});
const faulty = (code: FeedFaultCode, msAgo?: number) =>
  feed({ connected: false, fault: { code, since: at(30 * 60_000) } }, msAgo);
/** Returns facts in which these tables are set aside, one hour apart, and `more` further ones. */
const setAside = (names: string[], more = 0, reason: SetAsideReason = 'row_too_large'): Partial<Facts> => ({
  replica: replica({
    setAside: {
      count: names.length + more,
      tables: names.map((name, i) => ({ name, reason, asOf: at((names.length - i) * HOUR) })),
    },
  }),
});

const CASES: Case[] = [
  {
    code: 'feed-fault',
    severity: 'warn',
    facts: faulty('source_unreachable'),
    headline: 'No changes have arrived from head office since 10:12',
    detail:
      "Head office's database cannot be reached. Newer data may exist there. It arrives when the fault is gone. Local data is safe. Tell head office",
    short: 'No changes from head office since 10:12',
    primary: 'check',
  },
  {
    code: 'feed-fault',
    name: 'an old answer',
    severity: 'warn',
    facts: faulty('relay_failed', HOUR),
    headline: 'No changes have arrived from head office since 10:12',
    detail:
      'Last checked at 09:42. HQ-1 fails to store the changes. Newer data may exist there. It arrives when the fault is gone. Local data is safe. Tell head office',
    short: 'No changes from head office since 10:12',
    primary: 'check',
  },
  {
    code: 'set-aside',
    severity: 'warn',
    facts: setAside(['orders']),
    headline: 'Table orders is set aside',
    detail:
      'Its rows are as of 09:42. A row of this table is larger than the limit. All other tables are current. Tell head office',
    short: '1 table set aside',
    primary: 'check',
  },
  {
    code: 'set-aside',
    name: 'two tables',
    severity: 'warn',
    facts: setAside(['orders', 'price']),
    headline: '2 tables are set aside',
    detail: 'The rows of orders and price are as of 08:42 or later. All other tables are current. Tell head office',
    short: '2 tables set aside',
    primary: 'check',
  },
  {
    code: 'set-aside',
    name: 'more tables than the headline names',
    severity: 'warn',
    facts: setAside(['orders', 'price', 'stock', 'customer'], 516),
    headline: '520 tables are set aside',
    detail:
      'The rows of orders, price, stock and 517 more are as of 06:42 or later. All other tables are current. Tell head office',
    short: '520 tables set aside',
    primary: 'check',
  },
  {
    code: 'set-aside',
    name: 'further tables at head office',
    severity: 'warn',
    facts: { ...setAside(['orders'], 0, 'other'), ...feed({ troubled: 3 }) },
    headline: 'Table orders is set aside',
    detail:
      'Its rows are as of 09:42. Head office’s database fails to send this table. All other tables are current. Head office does not send 2 more tables. Tell head office',
    short: '1 table set aside',
    primary: 'check',
  },
  {
    code: 'set-aside',
    name: 'only at head office',
    severity: 'warn',
    facts: feed({ troubled: 1 }),
    headline: 'Head office does not send 1 table',
    detail: "It does not follow head office's database. All other tables are current. Tell head office",
    short: '1 table not sent',
    primary: 'check',
  },
  {
    code: 'set-aside',
    name: 'the relay has not answered since the start',
    severity: 'warn',
    facts: { ...setAside(['orders']), probe: null, waiting: null },
    headline: 'Table orders is set aside',
    detail: 'Its rows are as of 09:42. A row of this table is larger than the limit. Tell head office',
    short: '1 table set aside',
    primary: 'check',
  },
  {
    code: 'set-aside',
    name: 'the last answer is no longer fresh',
    severity: 'warn',
    facts: { ...setAside(['orders']), probe: probe({}, HOUR) },
    headline: 'Table orders is set aside',
    detail:
      'Its rows are as of 09:42. A row of this table is larger than the limit. All other tables were current at 09:42. Tell head office',
    short: '1 table set aside',
    primary: 'check',
  },
];

testCases('head-office', CASES);

/** The cause of each fault. A new code does not compile without one. */
const CAUSES: Record<FeedFaultCode, string> = {
  source_unreachable: "Head office's database cannot be reached",
  source_denied: "Head office's database refuses the sign-in",
  source_not_ready: "Head office's database is not ready to send changes",
  source_lost: "The connection to head office's database keeps breaking",
  source_unsupported: "Head office's database holds a value of an unknown form",
  slot_in_use: "Another program receives the changes of head office's database instead",
  config_invalid: 'The settings of the program that sends the changes are invalid',
  relay_unreachable: 'Head office cannot reach HQ-1',
  relay_timeout: 'HQ-1 does not answer head office in time',
  relay_not_tidemark: 'Something else answers head office instead of HQ-1',
  relay_failed: 'HQ-1 fails to store the changes',
  relay_busy: 'HQ-1 is too busy to store the changes',
  batch_invalid: 'HQ-1 refuses the changes',
  batch_corrupt: 'The changes arrive damaged at HQ-1',
  batch_out_of_order: 'HQ-1 refuses the changes',
  session_unknown: 'The connection between head office and HQ-1 keeps breaking',
  filter_invalid: 'The data selection on HQ-1 does not match the tables at head office',
  disk_full: 'HQ-1 has too little disk space',
  internal: 'The program that sends the changes has failed',
};

test.each(Object.entries(CAUSES))('names the cause of the fault %s', (code, cause) => {
  expect(status(faulty(code as FeedFaultCode)).detail).toContain(`${cause}. Newer data may exist there`);
});

describe('precedence', () => {
  test('shows waiting changes first, and the fault and the tables as attention', () => {
    const { probe: asked, ...rest } = waiting(12);
    const { fault } = faulty('source_lost').probe?.status.feed ?? {};
    const facts = {
      ...{ ...rest, ...setAside(['orders']) },
      probe: { ...asked, status: { ...asked.status, feed: { ...asked.status.feed, connected: false, fault } } },
    } as Partial<Facts>;
    const shown = status(facts);
    expect(shown.code).toBe('behind');
    expect(shown.attention.map(({ code }) => code)).toEqual(['feed-fault', 'set-aside']);
    expect(shown.attention[1]?.text).not.toContain('All other tables are current');
  });

  test('shows a fault of the feed instead of the lag that it causes', () => {
    const shown = status(feed({ lagMs: 12 * 60_000, fault: { code: 'internal', since: at(12 * 60_000) } }));
    expect(shown).toMatchObject({ code: 'feed-fault', attention: [] });
  });
});

describe('a result that falls short', () => {
  const oldHead: Partial<Facts> = {
    probe: probe({
      head: { epoch: EPOCH, seq: seq(5310), committedAt: at(HOUR) },
      feed: { connected: true, heardAt: at(60_500), lagMs: null },
    }),
  };

  test.each([
    ['a fault of the feed', faulty('source_lost'), 1],
    ['a relay that is behind', feed({ lagMs: 12 * 60_000 }), 1],
    ['a silent feed whose lag is below the bound', feed({ connected: false }), 0],
    ['a feed that the relay never heard', feed({ connected: false, heardAt: null, lagMs: null }), 1],
    ['a table set aside', setAside(['orders']), 1],
    ['a table set aside and a fault of the feed', { ...setAside(['orders']), ...faulty('internal') }, 2],
    ['a table in trouble at head office', feed({ troubled: 1 }), 1],
    ['a table set aside during a pause', { ...setAside(['a']), paused: { since: 0, until: null, by: 'you' } }, 1],
    ['nothing', {}, 0],
    ['waiting changes, which a sync removes', waiting(20_000), 0],
    ['an unknown lag below the age of the newest commit', feed({ lagMs: null }), 0],
    ['an unknown lag while the newest commit is old', oldHead, 1],
    ['a clock that is off', { clockSkewMs: 600_000 }, 0],
  ] as [string, Partial<Facts>, number][])('names %s', (_, facts, sentences) => {
    expect(shortfallOf(of(facts), NOW, UTC)).toHaveLength(sentences);
  });
});
