import type { PageStart, Seq } from '@tidemark/protocol/cursor';
import { TidemarkError } from '@tidemark/protocol/errors';
import type { FeedRow } from '../log/log-format.ts';

/**
 * Throws epoch_changed, behind_horizon, cursor_ahead, or target_invalid if the log of the feed in this state does not
 * contain the range.
 */
export function requireRange(
  row: Pick<FeedRow, 'epoch' | 'head' | 'horizon'>,
  epoch: string,
  start: PageStart,
  target: Seq,
): void {
  const { head, horizon } = row;
  if (epoch !== row.epoch) throw new TidemarkError('epoch_changed');
  if (start.seq < horizon) throw new TidemarkError('behind_horizon');
  if (start.seq > head) throw new TidemarkError('cursor_ahead');
  if (target > head || target < start.seq) throw new TidemarkError('target_invalid', { target });
}
