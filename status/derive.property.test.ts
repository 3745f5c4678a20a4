import type { RelayStatus } from '@tidemark/protocol/api';
import type { Cursor } from '@tidemark/protocol/cursor';
import { anyFacts, nearlyUpToDate } from '@tidemark/testing/arbitrary-facts';
import { NOW } from '@tidemark/testing/facts';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { deriveStatus } from './derive.ts';
import { DEFAULT_THRESHOLDS, Facts, FactsJson } from './facts.ts';
import { FORMAT } from './format.ts';
import { Status, StatusJson } from './status.ts';

const RUNS = { numRuns: 2000 };

/** Whether the relay planned a difference or a snapshot for the present cursor that this PC has not downloaded. */
const isOtherPlanDue = (
  { plan: { by }, behind }: RelayStatus,
  asked: Cursor | null,
  { replica, waiting }: Facts,
): boolean =>
  asked?.epoch === replica.cursor?.epoch &&
  asked?.seq === replica.cursor?.seq &&
  (by === 'difference' || by === 'snapshot') &&
  (behind !== null || waiting === null);

/** The conditions of `up-to-date`, written a second time, independently of the code under test. */
function mayBeUpToDate(each: Facts): boolean {
  const { probe, replica, lastRun, retry, phase, agent: engine, configured, waiting } = each;
  const head = probe?.status.head;
  const heardAt = probe?.status.feed.heardAt;
  const lag = probe?.status.feed.lagMs;
  if (!probe || !head || typeof heardAt !== 'number' || typeof lag !== 'number') return false;
  const failedSince = lastRun?.outcome === 'failed' && lastRun.endedAt >= probe.at;
  return (
    configured &&
    engine.state === 'alive' &&
    phase.kind === 'idle' &&
    replica.fault === null &&
    replica.cursor?.epoch === head.epoch &&
    (replica.cursor.seq === head.seq || (replica.cursor.seq < head.seq && waiting !== null)) &&
    !isOtherPlanDue(probe.status, probe.for, each) &&
    (waiting === null || waiting.changes + waiting.transactions === 0) &&
    NOW - probe.at <= DEFAULT_THRESHOLDS.freshMs &&
    Math.max(probe.status.now - heardAt, lag) < DEFAULT_THRESHOLDS.sourceLagWarnMs &&
    probe.status.feed.connected &&
    probe.status.feed.fault === undefined &&
    (probe.status.feed.troubled ?? 0) === 0 &&
    replica.setAside.count === 0 &&
    !failedSince &&
    retry === null
  );
}

test('shows up-to-date only when every condition holds', () => {
  let green = 0;
  fc.assert(
    fc.property(fc.oneof(anyFacts, nearlyUpToDate), (each) => {
      const shown = deriveStatus(each, NOW);
      if (shown.code !== 'up-to-date') return;
      green += 1;
      expect(mayBeUpToDate(each)).toBe(true);
    }),
    { numRuns: 6000 },
  );
  expect(green).toBeGreaterThan(100);
});

/** States in which a person can only wait. */
const NO_ACTION = ['starting', 'finishing', 'cancelling', 'agent-restarting'];

test('every state names a cause, and an action if one helps', () => {
  fc.assert(
    fc.property(anyFacts, (each) => {
      const shown = deriveStatus(each, NOW);
      expect(shown.headline).toMatch(/\S/);
      expect(shown.detail).toMatch(/\S/);
      expect(shown.short).toMatch(/\S/);
      if (!NO_ACTION.includes(shown.code)) expect(shown.primary).not.toBeNull();
      expect(shown.severity === 'ok').toBe(shown.code === 'up-to-date');
      const codes = [shown.code, ...shown.attention.map(({ code }) => code)];
      expect(new Set(codes).size).toBe(codes.length);
    }),
    RUNS,
  );
});

test('never shows more work done than the total', () => {
  fc.assert(
    fc.property(anyFacts, (each) => {
      const { headline } = deriveStatus(each, NOW);
      const match = /([\d,]+) of ([\d,]+)/.exec(headline);
      if (match)
        expect(Number(match[1]?.replaceAll(',', ''))).toBeLessThanOrEqual(Number(match[2]?.replaceAll(',', '')));
    }),
    RUNS,
  );
});

test('returns a state for any facts at any time', () => {
  fc.assert(
    fc.property(anyFacts, fc.oneof(fc.double(), fc.constant(Number.NaN), fc.integer()), (each, now) => {
      expect(deriveStatus(each, now).code).toBeTypeOf('string');
    }),
    RUNS,
  );
});

test('the generated facts are valid', () => {
  fc.assert(
    fc.property(anyFacts, (each) => Facts.safeParse(each).error === undefined),
    { numRuns: 300 },
  );
});

test('facts and status survive a round trip through JSON, with times as text', () => {
  const copyOf = (value: unknown): unknown => JSON.parse(JSON.stringify(value));
  fc.assert(
    fc.property(anyFacts, (each) => {
      const shown = Status.parse(deriveStatus(each, NOW));
      expect(copyOf(FactsJson.decode(copyOf(FactsJson.encode(each)) as never))).toEqual(copyOf(each));
      expect(copyOf(StatusJson.decode(copyOf(StatusJson.encode(shown)) as never))).toEqual(copyOf(shown));
    }),
    { numRuns: 300 },
  );
});

test('no two statements of one status contradict each other', () => {
  const numberOf = (text: string) => Number(text.replaceAll(',', ''));
  fc.assert(
    fc.property(fc.oneof(anyFacts, nearlyUpToDate), (each) => {
      const { code, severity, headline, detail, short, attention, waiting, way, dataAsOf } = deriveStatus(each, NOW);
      const hops = [way.source, way.own];
      if (severity === 'error') expect(hops.map(({ state }) => state)).not.toContain('ok');
      for (const { broken, state } of hops) expect(broken && state === 'ok').toBe(false);
      expect(waiting.changes === 0).toBe(waiting.text === '0');
      if (code === 'up-to-date') expect([waiting.text, ...hops.map(({ state }) => state)]).toEqual(['0', 'ok', 'ok']);
      if (way.own.text === 'Up to date') expect(code).toBe('up-to-date');
      if (way.own.text === 'Nothing waiting') expect(waiting.text).toBe('0');
      const said = [headline, detail, short, way.own.text, ...attention.map(({ text }) => text)].join('\n');
      for (const [, count = ''] of said.matchAll(/([\d,]+) (?:changes? |still )waiting/g))
        expect(numberOf(count)).toBe(waiting.changes);
      const times = [...said.matchAll(/[Dd]ata as of (.+?)(?:\.|$)/gm)].map(([, time]) => time);
      for (const time of times) expect(time).toBe(dataAsOf === null ? null : FORMAT.moment(dataAsOf, NOW));
    }),
    { numRuns: 6000 },
  );
});
