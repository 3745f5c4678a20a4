import { z } from 'zod';

/**
 * Positions in a feed: the seq of a transaction, the epoch of a numbering, the cursor of a replica, and the start of a
 * page. Seqs and epochs are branded types, so that the compiler rejects a plain number or string in their place.
 */

/**
 * Number of a transaction in its feed: 1, 2, 3, … without gaps. The relay assigns it. 0: before the first transaction.
 */
export const Seq = z.int().nonnegative().brand('Seq');
export type Seq = z.infer<typeof Seq>;

/** Converts a number to a {@link Seq}. Throws a ZodError for a negative number or a fraction. */
export function seq(value: number): Seq {
  return Seq.parse(value);
}

/** Id of one unbroken numbering of a feed; random, never reused. */
export const Epoch = z
  .string()
  .regex(/^[0-9a-z]{8,40}$/)
  .brand('Epoch');
export type Epoch = z.infer<typeof Epoch>;

/** The last transaction that a replica has applied. */
export const Cursor = z.object({ epoch: Epoch, seq: Seq });
export type Cursor = z.infer<typeof Cursor>;

/**
 * The start of a page. The reader has transaction `seq`, and the first `part` log entries of transaction `seq + 1`. `part`
 * is 0 unless that transaction spans pages.
 */
export const PageStart = z.object({ seq: Seq, part: z.int().nonnegative() });
export type PageStart = z.infer<typeof PageStart>;

/** Formats a page start for a URL: `17`, or `17.3` within transaction 18. */
export function formatStart(start: PageStart): string {
  return start.part === 0 ? String(start.seq) : `${start.seq}.${start.part}`;
}

/** Parses the text of {@link formatStart}. Returns null for any other text. */
export function parseStart(text: string): PageStart | null {
  const match = /^(0|[1-9]\d{0,15})(?:\.([1-9]\d{0,9}))?$/.exec(text);
  if (!match) return null;
  const start = PageStart.safeParse({ seq: Number(match[1]), part: Number(match[2] ?? 0) });
  return start.success ? start.data : null;
}

/** Formats a cursor for the details that people read: `7f3a…:5310`. */
export function formatCursor(cursor: Cursor): string {
  return `${cursor.epoch}:${cursor.seq}`;
}
