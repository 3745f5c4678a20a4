import type { Difference, Run } from '@tidemark/protocol/run';
import { FORMAT } from '@tidemark/status/format';

/** Formats the results of comparisons with the server as text. */

export const rowCount = ({ missing, extra, different }: Difference): number => missing + extra + different;

/** Returns the number of rows that differed in all tables. */
export const differingRows = (run: Run): number =>
  (run.differences ?? []).reduce((sum, each) => sum + rowCount(each), 0);

export const hasDifferences = (run: Run): boolean => differingRows(run) > 0;

/** Reports whether the differences were repaired. A run without repair ends with `replica_differs`. */
export const wasRepaired = ({ outcome }: Run): boolean => outcome === 'done' || outcome === 'nothing-new';

/** Reports whether the comparison was replaced by a fresh copy, which was cheaper. */
const becameFreshCopy = (run: Run): boolean =>
  run.snapshot !== null && run.compared === undefined && !hasDifferences(run);

/** Returns `Compared 1,234,567 rows in 12 tables`. */
function compared({ compared: extent }: Run): string {
  if (extent === undefined) return 'Compared with the server';
  return `Compared ${FORMAT.counted(extent.rows, 'row')} in ${FORMAT.counted(extent.tables, 'table')}`;
}

/** Returns `15 rows in 2 tables`. */
const differenceSize = (run: Run): string =>
  `${FORMAT.counted(differingRows(run), 'row')} in ${FORMAT.counted((run.differences ?? []).filter((each) => rowCount(each) > 0).length, 'table')}`;

/** Describes the result of a comparison that did not fail, in one sentence without a full stop. */
export function describeVerify(run: Run): string {
  if (run.outcome === 'cancelled')
    return hasDifferences(run)
      ? `The comparison was cancelled. ${differenceSize(run)} differed`
      : 'The comparison was cancelled before it ended';
  if (becameFreshCopy(run))
    return `Too much differed from the server, so a fresh copy was downloaded: ${FORMAT.counted(run.inserted, 'row')} in ${FORMAT.counted(run.tables.length, 'table')}`;
  return hasDifferences(run)
    ? `${compared(run)}: ${differenceSize(run)} differed and were repaired`
    : `${compared(run)}: identical`;
}

/**
 * Describes the repairs of a sync that compared data because another program or a new data selection had changed it.
 */
export const describeRepair = (run: Run): string => `${differenceSize(run)} differed and were corrected`;

/** Returns the result in one or two words, for lists. Returns null if the run is not a comparison or did not finish. */
export function verifyOutcome(run: Run): 'Identical' | 'Repaired' | 'Fresh copy' | null {
  if (run.mode !== 'verify' || !wasRepaired(run)) return null;
  if (becameFreshCopy(run)) return 'Fresh copy';
  return hasDifferences(run) ? 'Repaired' : 'Identical';
}

/** Returns `orders: 3 missing, 1 extra, 2 different`, without zeros. */
export function describeDifference({ table, missing, extra, different }: Difference): string {
  const parts: [number, string][] = [
    [missing, 'missing'],
    [extra, 'extra'],
    [different, 'different'],
  ];
  const texts = parts.filter(([count]) => count > 0).map(([count, word]) => `${FORMAT.count(count)} ${word}`);
  return `${table}: ${texts.join(', ')}`;
}
