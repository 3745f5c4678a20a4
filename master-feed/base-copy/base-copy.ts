import { sameSchema } from '@tidemark/protocol/schema';
import { publishedOf, type Step } from '../session-step.ts';
import type { NumberedTable, SourceTable } from '../source.ts';

/**
 * Takes a base copy: sends all rows of all published tables at one position. Streaming later starts at that position.
 *
 * It describes the tables again at that position, because they may have changed since the session began. The log
 * contains all later changes. The relay uses the copy only after its last line is on disk.
 *
 * Returns the tables that the relay then holds. Tables in `altered` were altered during the copy and must be re-read.
 * Throws source_not_ready, source_lost, slot_in_use, and the error of a failed batch.
 */
export async function sendBaseCopy(
  step: Step,
  why: string,
): Promise<{ tables: NumberedTable[]; altered: SourceTable[] }> {
  const { source, session, wanted, lines, outbox, log } = step;
  const copy = await source.copyTables('base');
  try {
    const described = publishedOf(await copy.describe(wanted), step);
    let next = session.nextTableId;
    const tables = described.map((table): NumberedTable => {
      const same = session.tables.find(({ schema }) => sameSchema(schema, table.schema));
      return { number: same?.id ?? next++, table };
    });
    lines.beginBase(copy.position, copy.takenAt, why);
    for (const { number, table } of tables) {
      lines.declare(number, table.schema);
      const rows = await copy.readRows(table, outbox, (json) => lines.row('i', number, json));
      log('copied', { table: table.schema.name, rows });
    }
    const altered = await copy.alteredSince(described);
    lines.commit();
    await outbox.drain();
    return { tables, altered };
  } finally {
    await copy.close();
  }
}
