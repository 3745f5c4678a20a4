import { createHash } from 'node:crypto';
import { TidemarkError } from '@tidemark/protocol/errors';
import { BatchLine } from '@tidemark/protocol/lines';
import { BatchTrailer } from '@tidemark/protocol/page';
import { databaseError } from '@tidemark/table-store/database-error';
import { z } from 'zod';

/**
 * Verifies a batch and parses its lines. The trailer is verified before any line is read. The wire schema validates the
 * lines, except the values of row lines. The code that applies rows validates those, because doing it here would cost
 * more than applying them.
 */

const NEWLINE = 0x0a;
const ROW_LINES = new Set(['i', 'u', 'd']);

/** Returns the lines of a batch after verifying its trailer. Throws batch_corrupt. */
export function verifiedBody(batch: Buffer): Buffer {
  const trailerAt = batch.length < 2 ? 0 : batch.lastIndexOf(NEWLINE, batch.length - 2) + 1;
  let trailer: BatchTrailer;
  try {
    trailer = BatchTrailer.parse(JSON.parse(batch.toString('utf8', trailerAt)));
  } catch (error) {
    throw new TidemarkError('batch_corrupt', {}, error);
  }
  const body = batch.subarray(0, trailerAt);
  if (createHash('sha256').update(body).digest('hex') !== trailer.sha256) throw new TidemarkError('batch_corrupt');
  return body;
}

/** Returns the offset after the newline of the line that begins at `from`. */
export function endOfLine(body: Buffer, from: number): number {
  return body.indexOf(NEWLINE, from) + 1;
}

/** Parses a line. `number` is its number in the batch, from 1. Throws batch_invalid. */
export function parseLine(bytes: Buffer, number: number): BatchLine {
  let line: unknown;
  try {
    line = JSON.parse(bytes.toString('utf8'));
  } catch (error) {
    throw new TidemarkError('batch_invalid', { detail: `line ${number} is not JSON` }, error);
  }
  if (
    Array.isArray(line) &&
    ROW_LINES.has(line[0] as string) &&
    line.length === 3 &&
    Number.isSafeInteger(line[1]) &&
    Array.isArray(line[2])
  ) {
    return line as BatchLine;
  }
  const parsed = BatchLine.safeParse(line);
  if (parsed.success) return parsed.data;
  const table = declaredName(line);
  throw table === undefined
    ? invalidLine(number, 'it is of no known kind')
    : invalidLine(number, 'its schema is not one that a replica can hold', table);
}

/** Returns the table that an invalid `s` line declares. */
function declaredName(line: unknown): string | undefined {
  const declared = SchemaOfTable.safeParse(line);
  return declared.success ? declared.data[2].name : undefined;
}

const SchemaOfTable = z.tuple([z.literal('s'), z.int(), z.looseObject({ name: z.string() })]);

/** Encodes a line as the log stores and sends it. */
export const encodeLine = (line: unknown): Buffer => Buffer.from(`${JSON.stringify(line)}\n`);

/** Returns the error for a line. `table`: the only table that the line concerns, so that the feed can set it aside. */
export const invalidLine = (number: number, detail: string, table?: string): TidemarkError =>
  new TidemarkError('batch_invalid', {
    detail: `line ${number}: ${detail}`,
    ...(table === undefined ? {} : { table }),
  });

/** The place of a line, for errors. */
export interface LinePlace {
  /** Number of the line in its batch, from 1. */
  number: number;
  /** The only table that the line concerns. */
  table: string | undefined;
  /** The database to which the line is applied. */
  file: string;
}

/**
 * Applies a line. Every error that is not about the database file concerns the rows of the line's table. It becomes
 * batch_invalid with the number of the line and the name of the table, so that one table cannot stop the others for
 * ever.
 */
export function applyingLine<T>({ number, table, file }: LinePlace, apply: () => T): T {
  try {
    return apply();
  } catch (thrown) {
    const error = databaseError(file, thrown);
    if (!(error instanceof TidemarkError))
      throw invalidLine(number, error instanceof Error ? error.message : String(error), table);
    if (error.code === 'page_invalid' || error.code === 'schema_mismatch')
      throw invalidLine(number, String(error.params.detail), table);
    if (error.code === 'name_clash') throw invalidLine(number, error.message, table);
    if (error.code === 'batch_invalid' && error.params.table === undefined && table !== undefined)
      throw new TidemarkError('batch_invalid', { ...error.params, table }, error);
    throw error;
  }
}
