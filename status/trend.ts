import { type Facts, REMAINING_KEPT } from './facts.ts';
import type { Status } from './status.ts';

/** The smallest number of samples from which a direction is derived. */
const MIN_SAMPLES = 3;

/**
 * Returns the direction of the backlog, from the last probes (oldest first). The rules are those of Burrow, which
 * monitors the consumers of a log. A cursor that does not move while changes are waiting is stuck. A PC is falling
 * behind when each of its last pulls left more changes than the one before. Growth between two pulls is no sign of it:
 * a person chooses when to sync. Null: too few probes.
 */
export function trendOf({ trend: samples, remaining }: Pick<Facts, 'trend' | 'remaining'>): Status['trend'] {
  const first = samples[0];
  const last = samples.at(-1);
  if (!first || !last) return null;
  const isFallingBehind =
    remaining.length >= REMAINING_KEPT && remaining.every((left, i) => i === 0 || left > (remaining[i - 1] ?? 0));
  const steps = samples.slice(1).map((sample, index) => ({ before: samples[index] ?? sample, sample }));
  if (steps.some(({ before, sample }) => sample.head < before.head)) return 'rewound';
  if (last.changes <= 0) return 'caught up';
  if (isFallingBehind) return 'falling behind';
  if (samples.length < MIN_SAMPLES) return null;
  if (last.cursor === first.cursor) return 'stuck';
  if (last.changes < first.changes) return 'catching up';
  return 'steady';
}
