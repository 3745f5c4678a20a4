import { ROW_BYTES } from '@tidemark/protocol/page';
import { rowTooLarge } from '../../troubles/row-size.ts';
import type { PostgresTable } from './catalog.ts';
import type { Form } from './values.ts';

/**
 * The limit on the size of a row (F17), checked before its values are converted. The master may send a row of up to
 * 1 GB, and its conversion would take several times this memory, or exceed the longest string.
 */

/** Longest value of a key in an error, in bytes. */
const KEY_BYTES = 200;

/**
 * Throws TableFault if a row is larger than the limit whatever its values are. `lengths`: the length of each value's
 * text, in bytes. `textOf` returns the text of a value.
 */
export function requireRawSize(
  table: PostgresTable,
  lengths: readonly number[],
  textOf: (column: number) => string,
): void {
  const bytes = lengths.reduce((sum, length, column) => sum + leastBytes(table.columns[column]?.form, length), 0);
  if (bytes <= ROW_BYTES) return;
  const key = table.key.flatMap((name) => {
    const column = table.columns.findIndex((each) => each.name === name);
    return (lengths[column] ?? 0) > KEY_BYTES ? [] : [`${name} = ${textOf(column)}`];
  });
  throw rowTooLarge(table, `at least ${bytes.toLocaleString('en-GB')}`, key.join(', '));
}

/** Returns a lower bound on the JSON of a value. Hexadecimal digits become base64, and no other text becomes shorter. */
const leastBytes = (form: Form | undefined, length: number): number =>
  form === 'blob' ? Math.floor((length * 2) / 3) : length;
