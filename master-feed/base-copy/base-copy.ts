import type { SessionAnswer } from '@tidemark/protocol/api';
import type { SourcePosition } from '@tidemark/protocol/position';
import { sameSchema } from '@tidemark/protocol/schema';
import { LineWriter } from '../batching/line-writer.ts';
import { publishedOf, type Step } from '../session-step.ts';
import { type KnownTable, type NumberedTable, type SourceTable, TableFault } from '../source.ts';
import { isNew, marksFor } from '../troubles/marks.ts';
import { checkedRow } from '../troubles/row-size.ts';
import { type ChosenTables, setAside } from '../troubles/table-troubles.ts';

/**
 * Takes a base copy: sends all rows of all published tables at one position. Streaming later starts at that position.
 *
 * It describes the tables again at that position, because they may have changed since the session began. The log
 * contains all later changes. The relay uses the copy only after its last line is on disk.
 *
 * A table that is set aside is declared with its mark and without rows, and the relay keeps the rows that it holds
 * (F17). A table that cannot be read is set aside within the copy, so any number of such tables cost one copy (F21).
 */

export interface BaseCopyStep extends Step {
  /** The tables to follow, as the session has described them. */
  described: readonly SourceTable[];
  /** Descriptions of the tables that the relay held before the copy. */
  known: readonly KnownTable[];
  /** Called with the fault of each table that cannot be read. */
  onFault(fault: TableFault): void;
  /** Called when the last line is written. The relay may then hold the copy even if no answer arrives. */
  onSent(copy: BaseCopy): void;
}

export interface BaseCopy {
  position: SourcePosition;
  /** The tables that follow the master after the copy. */
  tables: NumberedTable[];
  /** Tables that were altered during the copy and must be re-read. */
  altered: SourceTable[];
  chosen: ChosenTables;
}

/** The relay's tables by id. */
type Declared = Pick<SessionAnswer, 'tables' | 'nextTableId'>;

/** Throws source_not_ready, source_lost, slot_in_use, and the error of a failed batch. */
export async function sendBaseCopy(step: BaseCopyStep, why: string): Promise<BaseCopy> {
  const { source, session, wanted, known, lines, outbox, log } = step;
  const declared = await declareTables(step);
  log('base-copy', { why });
  const copy = await source.copyTables('base');
  try {
    const all = publishedOf(await copy.describe(wanted), step);
    const { tables, nextTableId } = numberTables(all.tables, declared);
    const marks = marksFor(session, all.troubles, nextTableId, known);
    let next = nextTableId + marks.filter(isNew).length;
    lines.beginBase(copy.position, copy.takenAt, why);
    for (const { number, schema } of marks) lines.declare(number, schema);
    const faults: TableFault[] = [];
    for (const { number, table } of tables) {
      lines.declare(number, table.schema);
      try {
        const rows = await copy.readRows(table, outbox, (json) => lines.row('i', number, checkedRow(table, json)));
        log('copied', { table: table.schema.name, rows });
      } catch (error) {
        if (!(error instanceof TableFault) || error.trouble.id !== table.id) throw error;
        faults.push(error);
        step.onFault(error);
        lines.drop(table.schema.name);
        for (const mark of marksFor(session, [error.trouble], next, known)) {
          lines.declare(mark.number, mark.schema);
          if (isNew(mark)) next++;
        }
      }
    }
    const chosen = setAside(all, faults);
    const altered = await copy.alteredSince(chosen.tables);
    const { position } = copy;
    const sent = { position, tables: tables.filter(({ table }) => chosen.tables.includes(table)), altered, chosen };
    lines.commit();
    step.onSent(sent);
    await outbox.drain();
    return sent;
  } finally {
    await copy.close();
  }
}

/**
 * Declares the tables before the copy begins. The relay refuses a table that it cannot hold when the table is declared,
 * and the refusal then costs no copy. Returns the schemas that the relay knows.
 */
async function declareTables({ session, described, outbox }: BaseCopyStep): Promise<Declared> {
  const lines = new LineWriter(outbox);
  const { tables, nextTableId } = numberTables(described, session);
  for (const { number, table } of tables) {
    lines.declare(number, table.schema);
    if (outbox.full) await outbox.room();
  }
  await outbox.drain();
  const declared = tables.map(({ number, table }) => ({ id: number, schema: table.schema }));
  return { tables: [...session.tables, ...declared], nextTableId };
}

/** Numbers tables. A schema that the relay knows keeps its id. */
function numberTables(
  tables: readonly SourceTable[],
  declared: Declared,
): { tables: NumberedTable[]; nextTableId: number } {
  let next = declared.nextTableId;
  const numbered = tables.map((table): NumberedTable => {
    const same = declared.tables.find(({ schema }) => sameSchema(schema, table.schema));
    return { number: same?.id ?? next++, table };
  });
  return { tables: numbered, nextTableId: next };
}
