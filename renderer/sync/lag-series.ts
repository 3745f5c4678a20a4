import type { Sample } from '@tidemark/electron/contract/contract';

/** Converts recorded samples to points of the chart of waiting changes. Pure functions. */

/** A point of the chart. Unknown values are null; the chart shows a gap for them, not zero. */
export interface LagPoint {
  /** Time in ms since 1970. */
  at: number;
  /** Number of changes waiting. */
  waiting: number | null;
  /** Age of the data compared with the relay's head, in ms. */
  lagMs: number | null;
}

/** Approximate number of points that the chart can show separately. */
const POINTS = 240;
/**
 * A period without samples counts as a gap if it is longer than this many usual intervals. The app was then closed, or
 * the PC asleep.
 */
const SILENCE = 4;
/** A period without samples shorter than this never counts as a gap. */
const SHORTEST_GAP_MS = 90_000;

/**
 * Reduces samples (oldest first) to about {@link POINTS} points between `from` and `to` (ms). A point for several
 * samples has their highest values, so that no peak is lost. The last point has the values of the last sample, so that
 * a past peak does not look like the present. A gap becomes a point without values.
 */
export function lagSeries(samples: readonly Sample[], from: number, to: number): LagPoint[] {
  const width = Math.max(1, (to - from) / POINTS);
  const points: LagPoint[] = [];
  let bucket = -1;
  let newest: LagPoint | null = null;
  for (const sample of samples) {
    const { at } = sample;
    if (!(at >= from && at <= to)) continue;
    newest = { at, waiting: sample.waiting, lagMs: sample.lagMs };
    const last = points.at(-1);
    const ownBucket = Math.floor((at - from) / width);
    if (last && ownBucket === bucket) {
      if ((sample.waiting ?? -1) > (last.waiting ?? -1)) last.at = at;
      last.waiting = highest(last.waiting, sample.waiting);
      last.lagMs = highest(last.lagMs, sample.lagMs);
    } else {
      points.push({ at, waiting: sample.waiting, lagMs: sample.lagMs });
      bucket = ownBucket;
    }
  }
  const end = points.at(-1);
  if (end && newest && newest.at > end.at && (end.waiting !== newest.waiting || end.lagMs !== newest.lagMs))
    points.push(newest);
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

/** Returns the samples for the summary: the one with the most changes waiting, and the one with the longest lag. */
export function peaks(samples: readonly Sample[]): { waiting: Sample | null; lag: Sample | null } {
  const top = (key: 'waiting' | 'lagMs') =>
    samples.reduce<Sample | null>((best, sample) => ((sample[key] ?? -1) > (best?.[key] ?? -1) ? sample : best), null);
  return { waiting: top('waiting'), lag: top('lagMs') };
}
