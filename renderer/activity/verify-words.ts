import type { Difference, Run } from '@tidemark/protocol/run';
import { FORMAT } from '@tidemark/status/format';

/** Words for what a comparison with the relay found. */

export const rowsIn = ({ missing, extra, different }: Difference): number => missing + extra + different;

/** Rows that differed, over all tables. */
export const rowsApart = (run: Run): number => (run.differences ?? []).reduce((sum, each) => sum + rowsIn(each), 0);

export const hasDifferences = (run: Run): boolean => rowsApart(run) > 0;

/** Whether what differed was brought in line: a run that was told not to ends with `replica_differs`. */
export const wasRepaired = ({ outcome }: Run): boolean => outcome === 'done' || outcome === 'nothing-new';

/** Whether a fresh copy took the place of a comparison to the end, being cheaper. */
const wasReplaced = (run: Run): boolean => run.snapshot !== null && run.compared === undefined && !hasDifferences(run);

/** `Compared 1,234,567 rows in 12 tables`. */
function compared({ compared: much }: Run): string {
  if (much === undefined) return 'Compared with the relay';
  return `Compared ${FORMAT.counted(much.rows, 'row')} in ${FORMAT.counted(much.tables, 'table')}`;
}

/** `15 rows in 2 tables`. */
const apart = (run: Run): string =>
  `${FORMAT.counted(rowsApart(run), 'row')} in ${FORMAT.counted((run.differences ?? []).filter((each) => rowsIn(each) > 0).length, 'table')}`;

/** What a comparison that was not a failure came to, as a sentence. */
export function sayVerify(run: Run): string {
  if (run.outcome === 'cancelled')
    return hasDifferences(run)
      ? `The comparison was cancelled. ${apart(run)} differed`
      : 'The comparison was cancelled before it ended';
  if (wasReplaced(run))
    return `So much differed from the relay that a fresh copy was taken: ${FORMAT.counted(run.inserted, 'row')} in ${FORMAT.counted(run.tables.length, 'table')}`;
  return hasDifferences(run)
    ? `${compared(run)}: ${apart(run)} differed and were repaired`
    : `${compared(run)}: all equal`;
}

/** Of a sync that had to compare, because other programs changed data here or the share was changed. */
export const sayBroughtInLine = (run: Run): string => `${apart(run)} that differed were brought in line`;

/** In a word or two, for lists; null: no comparison, or one that did not end well. */
export function verifyOutcome(run: Run): 'All equal' | 'Repaired' | 'Fresh copy' | null {
  if (run.mode !== 'verify' || !wasRepaired(run)) return null;
  if (wasReplaced(run)) return 'Fresh copy';
  return hasDifferences(run) ? 'Repaired' : 'All equal';
}

/** `orders: 3 missing, 1 extra, 2 different`; only what there was. */
export function sayDifference({ table, missing, extra, different }: Difference): string {
  const parts: [number, string][] = [
    [missing, 'missing'],
    [extra, 'extra'],
    [different, 'different'],
  ];
  const said = parts.filter(([count]) => count > 0).map(([count, word]) => `${FORMAT.count(count)} ${word}`);
  return `${table}: ${said.join(', ')}`;
}
