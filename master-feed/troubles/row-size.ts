import { ROW_BYTES } from '@tidemark/protocol/page';
import { type SourceTable, TableFault } from '../source.ts';

/** The limit on the size of a row. The feed sets the table of a larger row aside (F17). */

/** Upper bound on the UTF-8 bytes of one UTF-16 code unit. */
const UNIT_BYTES = 3;
/** Longest text of a key in an error, in characters. */
const KEY_LENGTH = 200;

/** The remedy for a row that is too large. */
export const ROW_TODO =
  'Make the row smaller or delete it, or exclude the table in relay.yaml. The feed reads the table again within an hour, or at once after a restart of the feed.';

/** Returns the JSON of a row. Throws {@link TableFault} if it is larger than the limit. */
export function checkedRow(table: SourceTable, json: string): string {
  if (json.length * UNIT_BYTES <= ROW_BYTES) return json;
  const bytes = Buffer.byteLength(json);
  if (bytes <= ROW_BYTES) return json;
  throw rowTooLarge(table, bytes.toLocaleString('en-GB'), keyText(table, json));
}

/** Returns the fault of a table with a row that is too large. `bytes`: the size, for people. `key`: the row's key. */
export function rowTooLarge({ id, schema: { name } }: SourceTable, bytes: string, key: string): TableFault {
  const limit = ROW_BYTES.toLocaleString('en-GB');
  const row = key === '' ? '' : ` (${key.slice(0, KEY_LENGTH)})`;
  return new TableFault({
    ...{ id, table: name, reason: 'row_too_large', todo: ROW_TODO },
    detail: `A row of ${name} has ${bytes} bytes on the wire, and the limit is ${limit}${row}`,
  });
}

/** Describes the key of a complete row. Empty for a row of another form. */
function keyText({ schema: { key, columns } }: SourceTable, json: string): string {
  const row: unknown = JSON.parse(json);
  if (!Array.isArray(row) || row.length !== columns.length) return '';
  return key.map((name) => `${name} = ${String(row[columns.findIndex((each) => each.name === name)])}`).join(', ');
}
