import { ticks as niceNumbers } from 'd3-array';
import { timeTicks } from 'd3-time';

/** Computes round tick values for the axes of charts. */

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** Approximate number of intervals on an axis. */
const INTERVALS = 4;

/** Returns round times between two times in ms: full minutes, hours or days in local time. */
export function momentTicks(from: number, to: number): number[] {
  return timeTicks(new Date(from), new Date(to), INTERVALS + 1).map((moment) => moment.getTime());
}

/** Returns integer ticks from 0 to the first round number that is at least `top`. */
export function countTicks(top: number): number[] {
  return ticksIncluding(Math.max(top, INTERVALS), 1);
}

/** Returns ticks in ms from 0 to the first round duration that is at least `topMs`: full minutes, hours or days. */
export function spanTicks(topMs: number): number[] {
  const goal = Math.max(topMs, INTERVALS * MINUTE_MS);
  const unit = goal <= 2 * HOUR_MS ? MINUTE_MS : goal <= 2 * DAY_MS ? HOUR_MS : DAY_MS;
  return ticksIncluding(goal, unit);
}

/** Returns ticks that include `top`. Ticks of d3 can end below it, so this adds one more step if necessary. */
function ticksIncluding(top: number, unit: number): number[] {
  const ticks = niceNumbers(0, top / unit, INTERVALS).filter(Number.isInteger);
  const step = Math.max(1, (ticks[1] ?? 1) - (ticks[0] ?? 0));
  const last = ticks.at(-1) ?? 0;
  return (last * unit >= top ? ticks : [...ticks, last + step]).map((tick) => tick * unit);
}
