import { createHash } from 'node:crypto';
import { TestRelay } from '@tidemark/testing/test-relay';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { type Disturb, HammeringLab, type Kind, type Nonsense, SITUATIONS } from './hammering-lab.ts';

/**
 * Rules W: an agent never repeats a request without a growing pause, whatever the relay or a proxy in front of it
 * answers. A real agent runs for a short time against each invalid answer to each kind of request, and the test counts
 * its requests.
 */

const WINDOW_MS = 2_000;
/**
 * Upper bound on attempts within the window: the pauses between them are at least 250, 500 and 1000 ms (W1), or 1 s
 * (W2).
 */
const MOST_ATTEMPTS = 4;
/** Upper bound on the requests of one attempt: a status, a manifest, two pages and the list of transactions. */
const REQUESTS_OF_ATTEMPT = 5;

const HTML = '<html>Sign in</html>';
const JSON_TYPE = { 'content-type': 'application/json' };
const later = (header: string, status = 503) => ({ status, headers: { 'retry-after': header } });
/** Returns a problem document of the relay. */
const problem = (code: string, status = 503): Nonsense => ({
  status,
  headers: { 'content-type': 'application/problem+json', 'retry-after': '0' },
  body: JSON.stringify({
    ...{ type: `urn:tidemark:error:${code}`, title: code, status, code, todo: '', retry: true, params: {} },
  }),
});

const NONSENSE: Record<string, Nonsense> = {
  'Retry-After: 0': later('0'),
  '429 with Retry-After: 0': later('0', 429),
  'Retry-After: -1': later('-1'),
  'Retry-After: 99999999999999999999': later('99999999999999999999'),
  'Retry-After: soon': later('soon'),
  'Retry-After in the past': later('Wed, 21 Oct 2015 07:28:00 GMT'),
  'no Retry-After': { status: 503 },
  '500 with a page': { status: 500, body: HTML },
  'a sign-in page': { status: 200, body: HTML },
  'a redirect': { status: 302, headers: { location: '/' } },
  'an empty body': { status: 200, headers: JSON_TYPE },
  'no content': { status: 204 },
  'another object': { status: 200, headers: JSON_TYPE, body: '{}' },
  'a list': { status: 200, headers: JSON_TYPE, body: '[]' },
  'a cut connection': 'cut',
  'half an answer': (answer) => answer.subarray(0, answer.length / 2),
  relay_busy: problem('relay_busy'),
  snapshot_building: problem('snapshot_building'),
  squash_building: problem('squash_building'),
  squash_larger: problem('squash_larger', 409),
  snapshot_gone: problem('snapshot_gone', 404),
  feed_empty: problem('feed_empty'),
  epoch_changed: problem('epoch_changed', 409),
  behind_horizon: problem('behind_horizon', 410),
  scopes_changed: problem('scopes_changed', 409),
  page_out_of_order: problem('page_out_of_order', 502),
};

/** The page with a trailer that names the page's own start as the next one. */
function leadingBack(page: Buffer): Buffer {
  const lines = page.toString().trimEnd().split('\n');
  const { start } = JSON.parse(lines[0] ?? '') as { start: unknown };
  const trailer = JSON.parse(lines.pop() ?? '') as object;
  return Buffer.from(`${lines.join('\n')}\n${JSON.stringify({ ...trailer, next: start })}\n`);
}

/** An answer without rows that claims to have come up to a key. */
function rowsEndingAt(after: number[] | null): Buffer {
  return Buffer.from(`${JSON.stringify({ done: 0, after, sha256: createHash('sha256').digest('hex') })}\n`);
}

/** Replaces the parts of each range by one that holds all of its rows, with a digest that never fits. */
function undivided(answer: Buffer): Buffer {
  const { answers } = JSON.parse(answer.toString()) as { answers: { rows: number; upto: unknown }[][] };
  const one = (parts: { rows: number; upto: unknown }[]) => [
    { upto: parts.at(-1)?.upto, rows: parts.reduce((sum, { rows }) => sum + rows, 0), digest: '0'.repeat(32) },
  ];
  return Buffer.from(JSON.stringify({ answers: answers.map(one) }));
}

/** The time, from a clock that `vi.setSystemTime` does not set, ms since 1970. */
const realNow = () => performance.timeOrigin + performance.now();

/** Events at the PC that occur 50 times a second. None of them is a person's request to try again. */
const DISTURBANCES: Record<string, Disturb> = {
  'changes of the network': (agent) => {
    agent.setOnline(false);
    agent.setOnline(true);
  },
  'repeated waking from sleep': (agent) => agent.woke(),
  'a series of saves of unchanged settings': (agent, settings) => agent.changeSettings({ ...settings }),
  'a series of changes of a display name': (agent, settings) =>
    agent.changeSettings({ ...settings, centralName: String(Math.random()) }),
  'jumps of the clock by hours, with a save after each': (agent, settings) => {
    vi.setSystemTime(realNow() + Math.random() * 8 * 3_600_000);
    agent.changeSettings({ ...settings });
  },
};

describe('a relay with invalid answers', () => {
  let lab: HammeringLab;
  beforeAll(async () => {
    lab = await HammeringLab.start();
  });
  afterAll(async () => {
    await lab.stop();
  });

  test.each(Object.keys(SITUATIONS) as Kind[])(
    'an agent limits its requests whatever the answer to %s',
    async (kind) => {
      const counted = await Promise.all(
        Object.entries(NONSENSE).map(async ([name, nonsense]) => {
          const { requests, byKind } = await lab.ask(kind, nonsense, WINDOW_MS);
          return { name, requests, byKind };
        }),
      );
      // Every agent must have sent this kind of request, or the test proves nothing.
      expect(counted.filter(({ byKind }) => byKind[kind] === undefined)).toEqual([]);
      expect(counted.filter(({ requests }) => requests > MOST_ATTEMPTS * REQUESTS_OF_ATTEMPT)).toEqual([]);
    },
  );

  test.each(Object.entries(DISTURBANCES))('W1: an agent limits its requests during %s', async (_, disturb) => {
    vi.useFakeTimers({ toFake: ['Date'], now: realNow() });
    try {
      const cases = (['status', 'snapshot', 'page'] as const).flatMap((kind) =>
        ['Retry-After: 0', 'a cut connection', 'snapshot_building'].map((name) => ({ kind, name })),
      );
      const counted = await Promise.all(
        cases.map(async ({ kind, name }) => {
          const { requests } = await lab.ask(kind, NONSENSE[name] ?? 'cut', WINDOW_MS, disturb);
          return { kind, name, requests };
        }),
      );
      // The first of these events may cause one attempt more.
      const most = (MOST_ATTEMPTS + 1) * REQUESTS_OF_ATTEMPT;
      expect(counted.filter(({ requests }) => requests > most)).toEqual([]);
    } finally {
      vi.useRealTimers();
    }
  });

  test.each<[string, Kind, (answer: Buffer) => Buffer, string]>([
    ['a page that leads back to its start', 'page', leadingBack, 'relay_no_progress'],
    ['compacted pages that lead back to their start', 'squashed', leadingBack, 'relay_no_progress'],
    ['rows that end where they begin', 'rows', () => rowsEndingAt([1]), 'relay_no_progress'],
    ['rows without a row', 'rows', () => rowsEndingAt(null), 'relay_no_progress'],
    ['one digest for a range that the relay should divide', 'digests', undivided, 'relay_no_progress'],
    ['digests of no part', 'digests', () => Buffer.from('{"answers":[[]]}'), 'page_invalid'],
    ['no digests', 'digests', () => Buffer.from('{"answers":[]}'), 'page_invalid'],
  ])('W6: an agent reports %s as a fault', async (_, kind, nonsense, code) => {
    const { byKind, requests, codes } = await lab.ask(kind, nonsense, WINDOW_MS);
    expect(byKind[kind]).toBeGreaterThan(0);
    expect([...codes]).toEqual([code]);
    // A digest without progress is known after two levels.
    expect(requests).toBeLessThanOrEqual(MOST_ATTEMPTS * (REQUESTS_OF_ATTEMPT + 1));
  });

  test.each<[string, (kind: string, n: number) => boolean]>([
    ['by turns', (_, n) => n % 2 === 0],
    ['one the status, the other everything else', (kind) => kind === 'status'],
  ])('W5: two relays of different epochs behind one address cause few copies (%s)', async (_, isFirst) => {
    const other = await TestRelay.start();
    try {
      await other.base(10);
      const { byKind, requests } = await lab.askRelays((kind, n) => (isFirst(kind, n) ? lab.relay : other), WINDOW_MS);
      expect(byKind.snapshotFile ?? 0).toBeGreaterThan(0);
      expect(byKind.snapshotFile ?? 0).toBeLessThanOrEqual(MOST_ATTEMPTS);
      expect(requests).toBeLessThanOrEqual(MOST_ATTEMPTS * REQUESTS_OF_ATTEMPT);
    } finally {
      await other.stop();
    }
  });
});
