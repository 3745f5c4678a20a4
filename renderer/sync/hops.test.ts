import { deriveStatus } from '@tidemark/protocol/status/derive.ts';
import type { Facts } from '@tidemark/protocol/status/facts.ts';
import { at, facts, failedRun, NOW, probe } from '@tidemark/protocol/status/testing.ts';
import { describe, expect, test } from 'vitest';
import { ownHop, sourceHop } from './hops.ts';

const hops = (change: Partial<Facts> = {}) => {
  const each = facts(change);
  const status = deriveStatus(each, NOW);
  return { source: sourceHop(each, status, NOW), own: ownHop(each, status, NOW) };
};
const replica = facts().replica;

test('up to date: both hops are green and say so', () => {
  const { source, own } = hops();
  expect([source.state, source.text, own.state, own.text]).toEqual(['ok', 'In step', 'ok', 'In step']);
});

describe('a hop is not green', () => {
  const CASES: [string, Partial<Facts>, 'source' | 'own'][] = [
    ['when the PC is offline', { online: false }, 'own'],
    ['to head office either, when the PC does not hear the relay', { online: false }, 'source'],
    ['when the relay cannot be reached', { lastRun: failedRun({ code: 'relay_unreachable', params: {} }) }, 'own'],
    [
      'when the local database is damaged',
      { replica: { ...replica, fault: { code: 'db_damaged', params: {} } } },
      'own',
    ],
    ['when the engine is down', { agent: { state: 'down', restarts: 5, since: at(0) } }, 'own'],
    ['while the engine starts', { agent: { state: 'starting' } }, 'own'],
    ['when the last answer is old', { probe: probe({}, 3_600_000) }, 'own'],
    ['to head office, when the last answer is old', { probe: probe({}, 3_600_000) }, 'source'],
    [
      'to head office, when its feed is gone',
      { probe: probe({ feed: { connected: false, heardAt: at(60_000), lagMs: 0 } }) },
      'source',
    ],
    [
      'to head office, when its lag is not known',
      { probe: probe({ feed: { connected: true, heardAt: at(60_000), lagMs: null } }) },
      'source',
    ],
  ];
  test.each(CASES)('%s', (_, change, which) => {
    expect(hops(change)[which].state).not.toBe('ok');
  });
});

test('a broken hop says what broke it', () => {
  expect(hops({ lastRun: failedRun({ code: 'token_invalid', params: {} }) }).own).toMatchObject({
    broken: true,
    state: 'error',
    text: 'Sign-in needed',
  });
});
