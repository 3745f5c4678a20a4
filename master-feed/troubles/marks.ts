import type { SessionAnswer } from '@tidemark/protocol/api';
import type { TableSchema } from '@tidemark/protocol/schema';
import type { LineWriter } from '../batching/line-writer.ts';
import type { KnownTable, SourceTrouble } from '../source.ts';
import { asideAtRelay } from './table-troubles.ts';

/**
 * Marks tables that are set aside (F17). A mark is a new version of the relay's schema with the field `setAside`. It is
 * written into the first transaction that may be missing changes of the table, so that a terminal receives both together.
 */

/** A table at the relay that is set aside. */
export interface Mark {
  /** Id of the marked schema. Equals `from` if the relay's table already has the mark. */
  number: number;
  from: number;
  schema: TableSchema;
}

type RelayTables = Pick<SessionAnswer, 'tables' | 'nextTableId' | 'committedAt'>;

/**
 * Returns the marks of the relay's tables that are in trouble. Their ids begin at `firstFree`. A table that already has
 * a mark with this reason keeps it, and a table whose reason changes keeps the time of its rows.
 */
export function marksFor(
  relay: RelayTables,
  troubles: readonly SourceTrouble[],
  firstFree: number,
  known: readonly KnownTable[] = [],
): Mark[] {
  let next = firstFree;
  return asideAtRelay(relay.tables, troubles, known).map(({ id, schema, trouble: { reason } }) => {
    if (schema.setAside?.reason === reason) return { number: id, from: id, schema };
    const asOf = schema.setAside?.asOf ?? relay.committedAt ?? new Date(0).toISOString();
    return { number: next++, from: id, schema: { ...schema, setAside: { reason, asOf } } };
  });
}

/** Whether the relay's table does not have the mark yet. */
export const isNew = ({ number, from }: Mark): boolean => number !== from;

/** Writes the marks that the relay does not have yet, inside a transaction. */
export function writeMarks(lines: LineWriter, marks: readonly Mark[]): void {
  for (const mark of marks.filter(isNew)) {
    lines.declare(mark.number, mark.schema);
    lines.alter(
      mark.number,
      mark.from,
      mark.schema.columns.map(({ name }) => name),
    );
  }
}
