import { createHash } from 'node:crypto';
import { TidemarkError } from '@tidemark/protocol/errors';
import { BatchLine } from '@tidemark/protocol/lines';
import { BatchTrailer } from '@tidemark/protocol/page';

/**
 * Takes a batch apart. It checks the trailer before it reads any line. The wire's schema parses the lines, except the values
 * of row lines: the code that applies rows checks them, because checking each value here would cost more than the apply.
 */

const NEWLINE = 0x0a;
const ROW_LINES = new Set(['i', 'u', 'd']);

/** The lines of a batch whose trailer is right. Throws batch_corrupt. */
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

/** Where the line that begins at `from` ends, after its newline. */
export function endOfLine(body: Buffer, from: number): number {
  return body.indexOf(NEWLINE, from) + 1;
}

/** Throws batch_invalid. `number`: the line's, from 1. */
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

/** A line as the log stores and sends it. */
export const encodeLine = (line: unknown): Buffer => Buffer.from(`${JSON.stringify(line)}\n`);

export const invalidLine = (number: number, detail: string): TidemarkError =>
  new TidemarkError('batch_invalid', { detail: `line ${number}: ${detail}` });

/** Applies a line. An error about the rows becomes batch_invalid with the number of the line. */
export function applyingLine<T>(number: number, apply: () => T): T {
  try {
    return apply();
  } catch (error) {
    throw error instanceof TidemarkError && error.code === 'page_invalid'
      ? invalidLine(number, String(error.params.detail))
      : error;
  }
}
