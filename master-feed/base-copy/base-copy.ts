import { sameSchema } from '@tidemark/protocol/schema';
import { publishedOf, type Step } from '../session-step.ts';
import type { NumberedTable, SourceTable } from '../source.ts';
import { isNew, marksFor } from '../troubles/marks.ts';
import { checkedRow } from '../troubles/row-size.ts';
import type { ChosenTables } from '../troubles/table-troubles.ts';

/**
 * Takes a base copy: sends all rows of all published tables at one position. Streaming later starts at that position.
 *
 * It describes the tables again at that position, because they may have changed since the session began. The log
 * contains all later changes. The relay uses the copy only after its last line is on disk.
 *
 * A table that is set aside is declared with its mark and without rows, and the relay keeps the rows that it holds (F17).
 *
 * Returns the tables that the relay then holds. Tables in `altered` were altered during the copy and must be re-read.
 * Throws source_not_ready, source_lost, slot_in_use, TableFault, and the error of a failed batch.
 */
export async function sendBaseCopy(
  step: Step,
  why: string,
): Promise<{ tables: NumberedTable[]; altered: SourceTable[]; chosen: ChosenTables }> {
  const { source, session, wanted, lines, outbox, log } = step;
  const copy = await source.copyTables('base');
  try {
    const chosen = publishedOf(await copy.describe(wanted), step);
    const marks = marksFor(session, chosen.troubles, session.nextTableId);
    let next = session.nextTableId + marks.filter(isNew).length;
    const tables = chosen.tables.map((table): NumberedTable => {
      const same = session.tables.find(({ schema }) => sameSchema(schema, table.schema));
      return { number: same?.id ?? next++, table };
    });
    lines.beginBase(copy.position, copy.takenAt, why);
    for (const { number, schema } of marks) lines.declare(number, schema);
    for (const { number, table } of tables) {
      lines.declare(number, table.schema);
      const rows = await copy.readRows(table, outbox, (json) => lines.row('i', number, checkedRow(table, json)));
      log('copied', { table: table.schema.name, rows });
    }
    const altered = await copy.alteredSince(chosen.tables);
    lines.commit();
    await outbox.drain();
    return { tables, altered, chosen };
  } finally {
    await copy.close();
  }
}
