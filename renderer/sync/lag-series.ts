import type { Sample } from '@tidemark/electron/contract/contract';

/** A point of the lag chart. Null where nothing was known: a gap, never a zero. */
export interface LagPoint {
  /** ms. */
  at: number;
  /** Changes waiting. */
  waiting: number | null;
  /** How old the data was against the relay's head, minutes. */
  lag: number | null;
}

/** Points that a chart of this width can show. */
const POINTS = 240;
/** A silence longer than this many usual intervals was not watched. */
const SILENCE = 4;
/** Shorter silences are never gaps, ms. */
const SHORTEST_GAP_MS = 90_000;

/**
 * Samples (oldest first) as at most about {@link POINTS} points between `from` and `to` (ms). Of samples that share a point the
 * highest stands, so that no peak is lost; silence becomes a point without values.
 */
export function lagSeries(samples: readonly Sample[], from: number, to: number): LagPoint[] {
  const width = Math.max(1, (to - from) / POINTS);
  const points: LagPoint[] = [];
  let bucket = -1;
  for (const sample of samples) {
    const { at } = sample;
    if (!(at >= from && at <= to)) continue;
    const lag = sample.lagMs === null ? null : sample.lagMs / 60_000;
    const last = points.at(-1);
    const mine = Math.floor((at - from) / width);
    if (last && mine === bucket) {
      last.at = at;
      last.waiting = highest(last.waiting, sample.waiting);
      last.lag = highest(last.lag, lag);
    } else {
      points.push({ at, waiting: sample.waiting, lag });
      bucket = mine;
    }
  }
  return withGaps(points, width);
}

function highest(a: number | null, b: number | null): number | null {
  return a === null ? b : b === null ? a : Math.max(a, b);
}

function withGaps(points: LagPoint[], width: number): LagPoint[] {
  const steps = points
    .slice(1)
    .map((point, index) => point.at - (points[index]?.at ?? point.at))
    .sort((a, b) => a - b);
  const usual = steps[Math.floor(steps.length / 2)] ?? 0;
  const limit = Math.max(SHORTEST_GAP_MS, SILENCE * usual, 2 * width);
  return points.flatMap((point, index) => {
    const before = points[index - 1];
    if (!before || point.at - before.at <= limit) return [point];
    return [{ at: before.at + (point.at - before.at) / 2, waiting: null, lag: null }, point];
  });
}

/** The samples that say most: the highest backlog, the longest lag, and the last one that knew the backlog. */
export function peaks(samples: readonly Sample[]): { waiting: Sample | null; lag: Sample | null; last: Sample | null } {
  const top = (key: 'waiting' | 'lagMs') =>
    samples.reduce<Sample | null>((best, sample) => ((sample[key] ?? -1) > (best?.[key] ?? -1) ? sample : best), null);
  return {
    waiting: top('waiting'),
    lag: top('lagMs'),
    last: samples.findLast(({ waiting }) => waiting !== null) ?? null,
  };
}

/** Round moments for the axis, at most seven, in local time. */
export function axisTicks(from: number, to: number): number[] {
  const MINUTE = 60_000;
  const HOUR = 60 * MINUTE;
  const step = to - from <= 2 * HOUR ? 10 * MINUTE : to - from <= 30 * HOUR ? 4 * HOUR : 24 * HOUR;
  const offset = new Date(from).getTimezoneOffset() * MINUTE;
  const first = Math.ceil((from - offset) / step) * step + offset;
  const ticks: number[] = [];
  for (let at = first; at <= to; at += step) ticks.push(at);
  return ticks;
}

/** Whole steps from 0 to the first one that is not under `top` or `least`: three to five of them. */
export function niceTicks(top: number, least: number): number[] {
  const goal = Math.max(top, least);
  const rough = goal / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((each) => each * power).find((each) => each >= rough) ?? rough;
  const whole = least >= 1 ? Math.max(1, Math.ceil(step)) : step;
  return Array.from({ length: Math.ceil(goal / whole) + 1 }, (_, index) => index * whole);
}
