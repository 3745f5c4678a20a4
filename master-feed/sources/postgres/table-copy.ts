import { ROW_BYTES } from '@tidemark/protocol/page';
import type { SetAsideReason } from '@tidemark/protocol/trouble';
import type pg from 'pg';
import { type Flow, TableFault } from '../../source.ts';
import { type PostgresTable, qualified, readTables } from './catalog.ts';
import { type Connection, CopyQuery, connect } from './connection.ts';
import { streamError } from './master-error.ts';
import { requireRawSize } from './raw-size.ts';
import { ident, literal } from './sql.ts';
import { toJson, unknownForm } from './values.ts';

const TAB = 0x09;
const NEWLINE = 0x0a;
const BACKSLASH = 0x5c;
/** The reason for each class of SQLSTATE with which a COPY can end. */
const REASONS: [RegExp, SetAsideReason][] = [
  [/^22(P05|021)$/, 'value_unconvertible'],
  [/^(54|53200)/, 'row_too_large'],
  [/^42501$/, 'not_readable'],
];

/**
 * Reads tables with COPY in the snapshot of a slot, so that the slot's stream continues the copy without a gap or a
 * repeat.
 */

/** Opens a connection with a transaction on an exported snapshot. */
export async function connectInSnapshot(url: string, snapshot: string): Promise<Connection> {
  const copy = await connect(url, false);
  try {
    await copy.client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    await copy.client.query(`SET TRANSACTION SNAPSHOT ${literal(snapshot)}`);
    return copy;
  } catch (error) {
    await copy.end();
    throw error;
  }
}

/**
 * Returns the copied tables that were altered after the snapshot. After a rewrite or TRUNCATE, the snapshot sees an
 * empty table; after a change of columns, COPY uses the new ones.
 */
export async function alteredSince(
  control: pg.Client,
  copied: readonly PostgresTable[],
  generated: boolean,
): Promise<PostgresTable[]> {
  const now = new Map((await readTables(control, generated, '')).map((table) => [table.id, table]));
  return copied.filter(({ id, version: before }) => {
    const after = now.get(id)?.version;
    return after?.shape !== before.shape || after.attributes !== before.attributes || after.file !== before.file;
  });
}

/**
 * Reads a table's rows in the snapshot of `client`. Returns the number of rows. Throws source_lost if the connection
 * ends, and {@link TableFault} if the master refuses to send the rows.
 */
export async function copyRows(
  client: pg.Client,
  table: PostgresTable,
  flow: Flow,
  onRow: (json: string) => void,
): Promise<number> {
  const columns = table.columns.map(({ name }) => ident(name)).join(', ');
  // ONLY excludes rows of tables that inherit from this one: the log reports them under those tables.
  const only = table.kind === 'p' ? '' : 'ONLY ';
  let count = 0;
  await new Promise<void>((resolve, reject) => {
    const query = new RowsQuery(
      `COPY (SELECT ${columns} FROM ${only}${qualified(table)}) TO STDOUT`,
      flow,
      resolve,
      reject,
      (row, end) => {
        onRow(rowJson(table, row, end));
        count++;
      },
      (error) => copyFault(table, error),
    );
    client.query(query as unknown as pg.Submittable);
  });
  return count;
}

/**
 * Returns the error for a COPY that the master ended. A server that stops, or a connection that breaks, is not a fault of
 * the table.
 */
function copyFault(table: PostgresTable, error: Error): Error {
  const { code = '' } = error as { code?: string };
  if (!/^[0-9A-Z]{5}$/.test(code) || /^(08|57|40|53[13])/.test(code)) return streamError(error);
  const reason = REASONS.find(([pattern]) => pattern.test(code))?.[1] ?? 'other';
  return new TableFault(
    {
      id: table.id,
      table: table.name,
      reason,
      detail: `the master cannot send the rows of ${table.name}: ${error.message}`,
      todo:
        reason === 'value_unconvertible'
          ? 'Correct the value, or exclude the table in relay.yaml.'
          : 'Remove the cause, or exclude the table in relay.yaml.',
    },
    error,
  );
}

class RowsQuery extends CopyQuery {
  readonly #flow: Flow;
  readonly #onRow: (row: Buffer, end: number) => void;
  readonly #resolve: () => void;
  readonly #reject: (error: unknown) => void;
  readonly #toFault: (error: Error) => Error;
  #fault: unknown = null;

  constructor(
    text: string,
    flow: Flow,
    resolve: () => void,
    reject: (error: unknown) => void,
    onRow: (row: Buffer, end: number) => void,
    toFault: (error: Error) => Error,
  ) {
    super(text);
    this.#toFault = toFault;
    this.#flow = flow;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#onRow = onRow;
  }

  override handleCopyData({ chunk }: { chunk: Buffer }): void {
    if (this.#fault !== null) return;
    try {
      this.#onRow(chunk, chunk[chunk.length - 1] === NEWLINE ? chunk.length - 1 : chunk.length);
      if (this.#flow.full) this.#wait();
    } catch (error) {
      this.#stop(error);
    }
  }

  override handleError(error: Error): void {
    this.#reject(this.#fault ?? this.#toFault(error));
  }

  override handleReadyForQuery(): void {
    if (this.#fault === null) this.#resolve();
    else this.#reject(this.#fault);
  }

  #wait(): void {
    this.connection?.stream.pause();
    this.#flow.room().then(
      () => this.connection?.stream.resume(),
      (error: unknown) => this.#stop(error),
    );
  }

  /** Aborts the copy by closing its connection. */
  #stop(error: unknown): void {
    this.#fault = error;
    this.#reject(error);
    this.connection?.stream.destroy();
  }
}

/** Converts one line of COPY's text format to a JSON array. */
function rowJson(table: PostgresTable, row: Buffer, end: number): string {
  if (end > ROW_BYTES) requireSize(table, row, end);
  let json = '[';
  let from = 0;
  for (let c = 0; c < table.columns.length; c++) {
    let to = row.indexOf(TAB, from);
    if (to === -1 || to > end) to = end;
    if (c > 0) json += ',';
    json += fieldJson(table, c, row, from, to);
    from = to + 1;
  }
  return `${json}]`;
}

/** Throws TableFault if the row is too large to convert. Escapes in COPY's text format are no longer than in JSON. */
function requireSize(table: PostgresTable, row: Buffer, end: number): void {
  const ends = table.columns.map(() => end);
  for (let c = 0, from = 0; c < ends.length; c++) {
    const tab = row.indexOf(TAB, from);
    if (tab !== -1 && tab < end) ends[c] = tab;
    from = (ends[c] ?? end) + 1;
  }
  const startOf = (column: number) => (column === 0 ? 0 : (ends[column - 1] ?? end) + 1);
  requireRawSize(
    table,
    ends.map((to, column) => to - startOf(column)),
    (column) => row.toString('utf8', startOf(column), ends[column]),
  );
}

function fieldJson(table: PostgresTable, c: number, row: Buffer, from: number, to: number): string {
  const form = table.columns[c]?.form ?? 'text';
  const backslash = row.indexOf(BACKSLASH, from);
  let json: string | null;
  if (backslash === -1 || backslash >= to) {
    json = toJson(form, row, from, to);
  } else {
    if (to - from === 2 && row[from + 1] === 0x4e) return 'null';
    const plain = unescaped(row, from, to);
    json = toJson(form, plain, 0, plain.length);
  }
  if (json === null) throw unknownForm({ table, column: c });
  return json;
}

const ESCAPES: Record<number, number> = { 98: 0x08, 102: 0x0c, 110: 0x0a, 114: 0x0d, 116: 0x09, 118: 0x0b };

function unescaped(row: Buffer, from: number, to: number): Buffer {
  const plain = Buffer.allocUnsafe(to - from);
  let at = 0;
  for (let i = from; i < to; i++) {
    let byte = row[i] as number;
    if (byte === BACKSLASH) {
      const next = row[++i] as number;
      byte = ESCAPES[next] ?? next;
    }
    plain[at++] = byte;
  }
  return plain.subarray(0, at);
}
