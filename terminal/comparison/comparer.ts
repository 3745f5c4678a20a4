import type { KeyRange, RowsRequest } from '@tidemark/protocol/api';
import { TidemarkError } from '@tidemark/protocol/errors';
import type { Repair } from '@tidemark/replica/repair';
import type { ComparedTable } from '@tidemark/replica/staged-table';
import { ALL_ROWS } from '@tidemark/table-store/key-range';
import { Narrowing, type Suspect } from './narrowing.ts';
import { type AnswersDeps, MAX_ASKS, RelayAnswers } from './relay-answers.ts';

/**
 * Compares a replica with a snapshot of the relay, and adds the rows to write to a {@link Repair}. See
 * docs/protocol.md, C.
 *
 * Order: the digests of tables, then the digests of ever smaller ranges that differ, then the rows of small ranges. It
 * reads the replica and never writes to it.
 */

/** A comparison continues, whatever the size of the snapshot, while it has to fetch at most this many bytes. */
const SMALL_BYTES = 64 * 1024;

export interface CompareDeps extends AnswersDeps {
  /** Size of the snapshot's download, bytes. */
  copyBytes: number;
  /** Whether the comparison may end early when the snapshot costs less. */
  mayCopy: boolean;
  /** Called with the table and the number of its rows compared since the last call. */
  onCompared(table: string, rows: number): void;
}

/**
 * A range whose rows the comparison fetches. When the relay has 0 rows in it, the repair deletes the replica's rows.
 */
type Leaf = Pick<Suspect, 'table' | 'range' | 'rows'>;

/**
 * Compares all tables. Returns `copy` when the snapshot costs less; the repair is then incomplete. Throws RelayErrors,
 * `page_corrupt`, `page_invalid`, `db_*`, `disk_full`, `cancelled`.
 */
export async function compare(repair: Repair, deps: CompareDeps): Promise<'compared' | 'copy'> {
  const { copyBytes, mayCopy, signal, onCompared, snapshot } = deps;
  const rowBytes = copyBytes / Math.max(1, snapshot.rows);
  const answers = new RelayAnswers(deps);
  const narrowing = new Narrowing({ answers, rowBytes, signal, onCompared });
  const costsMore = (leaves: Leaf[]) => {
    const cost = answers.receivedBytes + leaves.reduce((sum, { rows }) => sum + rows, 0) * rowBytes;
    return mayCopy && cost > SMALL_BYTES && cost > copyBytes;
  };

  const leaves: Leaf[] = [];
  let suspects: Suspect[] = [];
  for (const table of repair.tables) {
    if (table.here) suspects.push({ table, here: table.here, range: ALL_ROWS, rows: table.rows, rowsHere: -1 });
    else if (table.rows > 0) leaves.push({ table, range: ALL_ROWS, rows: table.rows });
  }
  for (let level = 0; suspects.length > 0; level++) {
    const differing = await narrowing.narrow(suspects, level);
    suspects = differing.filter((suspect) => !narrowing.isLeaf(suspect));
    leaves.push(...differing.filter((suspect) => narrowing.isLeaf(suspect)));
    // A lower bound, because ranges that are still to be narrowed add to it.
    if (costsMore(leaves)) return 'copy';
  }
  await fetchRows(leaves, repair, answers);
  return 'compared';
}

/** Fetches the rows of ranges and compares them with the replica's rows. */
async function fetchRows(leaves: Leaf[], repair: Repair, answers: RelayAnswers): Promise<void> {
  for (const { table, range } of leaves.filter(({ rows }) => rows === 0)) compareRanges(repair, table, [range]);
  let rest: RowsRequest['asks'] = leaves
    .filter(({ rows }) => rows > 0)
    .map(({ table, range }) => ({ table: table.id, range }));
  // Rows that the relay announced and that have not arrived. More of them would mean that some arrive again and again.
  let left = leaves.reduce((sum, { rows }) => sum + rows, 0);
  while (rest.length > 0) {
    const asks = rest.slice(0, MAX_ASKS);
    const { lines, done, after } = await answers.rows(asks);
    left -= lines.reduce((sum, [, rows]) => sum + rows.length, 0);
    if (left < 0) throw new TidemarkError('relay_no_progress');
    for (const [id, rows] of lines) repair.addRows(id, rows);
    const complete = asks.slice(0, done);
    const cut = asks[done];
    if (cut && after) {
      // The answer ends inside this range. Compare the rows that arrived, and request the rest.
      complete.push({ table: cut.table, range: { after: cut.range.after, upto: after } });
      rest = [{ table: cut.table, range: { after, upto: cut.range.upto } }, ...rest.slice(done + 1)];
    } else rest = rest.slice(done);
    for (const table of repair.tables) {
      const ranges = complete.filter(({ table: id }) => id === table.id).map(({ range }) => range);
      if (ranges.length > 0) compareRanges(repair, table, ranges);
    }
    // Give the event loop a turn, so that the agent can handle other events.
    await new Promise((resolve) => setImmediate(resolve));
  }
  for (const { table } of leaves) if (table.schema.key.length === 0) repair.compareKeyless(table.id);
}

/** A table without a key is compared as a multiset once all its rows have arrived. */
function compareRanges(repair: Repair, table: ComparedTable, ranges: KeyRange[]): void {
  if (table.schema.key.length > 0) repair.compareRanges(table.id, ranges);
}
