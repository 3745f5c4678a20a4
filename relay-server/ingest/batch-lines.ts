import { createHash } from 'node:crypto';
import { TidemarkError } from '@tidemark/protocol/errors';
import { BatchLine } from '@tidemark/protocol/lines';
import { BatchTrailer } from '@tidemark/protocol/page';

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
  if (!parsed.success) throw invalidLine(number, 'it is of no known kind');
  return parsed.data;
}

/** Encodes a line as the log stores and sends it. */
export const encodeLine = (line: unknown): Buffer => Buffer.from(`${JSON.stringify(line)}\n`);

export const invalidLine = (number: number, detail: string): TidemarkError =>
  new TidemarkError('batch_invalid', { detail: `line ${number}: ${detail}` });

/** Applies a line. Converts an error about its rows to batch_invalid with the number of the line. */
export function applyingLine<T>(number: number, apply: () => T): T {
  try {
    return apply();
  } catch (error) {
    throw error instanceof TidemarkError && error.code === 'page_invalid'
      ? invalidLine(number, String(error.params.detail))
      : error;
  }
}
