import type { Facts } from './facts.ts';
import type { Status } from './status.ts';

/** The smallest number of samples from which a direction is derived. */
const MIN_SAMPLES = 3;

/**
 * Returns the direction of the backlog, from the last probes (oldest first). The rules are those of Burrow, which
 * monitors the consumers of a log: a cursor that does not move while changes are waiting is stuck, and one that moves
 * while the backlog never shrinks is falling behind. Null: too few probes.
 */
export function trendOf(samples: Facts['trend']): Status['trend'] {
  const first = samples[0];
  const last = samples.at(-1);
  if (!first || !last) return null;
  const steps = samples.slice(1).map((sample, index) => ({ before: samples[index] ?? sample, sample }));
  if (steps.some(({ before, sample }) => sample.head < before.head)) return 'rewound';
  if (last.changes <= 0) return 'caught up';
  if (samples.length < MIN_SAMPLES) return null;
  if (last.cursor === first.cursor) return 'stuck';
  if (last.changes < first.changes) return 'catching up';
  if (last.changes > first.changes && steps.every(({ before, sample }) => sample.changes >= before.changes))
    return 'falling behind';
  return 'steady';
}
