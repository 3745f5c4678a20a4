import type { Sample } from '@tidemark/electron/contract/contract';

/** Turns recorded samples into the points of the chart of waiting changes. Pure. */

/** A point of the chart. Null where nothing was known: the chart has a gap there, never a zero. */
export interface LagPoint {
  /** ms since 1970. */
  at: number;
  /** Changes waiting. */
  waiting: number | null;
  /** How old the data was, compared with the relay's head. */
  lagMs: number | null;
}

/** About as many points as the chart can draw apart. */
const POINTS = 240;
/** A silence longer than this many usual intervals is a gap: the app was closed or the PC asleep. */
const SILENCE = 4;
/** Shorter silences are never gaps. */
const SHORTEST_GAP_MS = 90_000;

/**
 * Reduces samples (oldest first) to about {@link POINTS} points between `from` and `to` (ms). Samples that share a point
 * give it their highest values, so that no peak is lost. A gap becomes a point without values.
 */
export function lagSeries(samples: readonly Sample[], from: number, to: number): LagPoint[] {
  const width = Math.max(1, (to - from) / POINTS);
  const points: LagPoint[] = [];
  let bucket = -1;
  for (const sample of samples) {
    const { at } = sample;
    if (!(at >= from && at <= to)) continue;
    const last = points.at(-1);
    const ownBucket = Math.floor((at - from) / width);
    if (last && ownBucket === bucket) {
      last.at = at;
      last.waiting = highest(last.waiting, sample.waiting);
      last.lagMs = highest(last.lagMs, sample.lagMs);
    } else {
      points.push({ at, waiting: sample.waiting, lagMs: sample.lagMs });
      bucket = ownBucket;
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
    return [{ at: before.at + (point.at - before.at) / 2, waiting: null, lagMs: null }, point];
  });
}

/** The samples for the summary: the most changes waiting, the longest lag, and the newest with a known number. */
export function peaks(samples: readonly Sample[]): { waiting: Sample | null; lag: Sample | null; last: Sample | null } {
  const top = (key: 'waiting' | 'lagMs') =>
    samples.reduce<Sample | null>((best, sample) => ((sample[key] ?? -1) > (best?.[key] ?? -1) ? sample : best), null);
  return {
    waiting: top('waiting'),
    lag: top('lagMs'),
    last: samples.findLast(({ waiting }) => waiting !== null) ?? null,
  };
}
