import { z } from 'zod';

/** Number of a transaction in its feed: 1, 2, 3, … with no gap, given by the relay. 0 means none yet. */
export const Seq = z.int().nonnegative().brand('Seq');
export type Seq = z.infer<typeof Seq>;

/** Makes a {@link Seq} of a number that is known to be one. Throws a ZodError otherwise. */
export function seq(value: number): Seq {
  return Seq.parse(value);
}

/** Id of one unbroken numbering of a feed; random, never reused. */
export const Epoch = z
  .string()
  .regex(/^[0-9a-z]{8,40}$/)
  .brand('Epoch');
export type Epoch = z.infer<typeof Epoch>;

/** The last transaction a replica holds whole. */
export const Cursor = z.object({ epoch: Epoch, seq: Seq });
export type Cursor = z.infer<typeof Cursor>;

/**
 * Where a page starts. `seq` is held whole; of transaction `seq + 1` the log entries up to number `part` are
 * held too (0 unless that transaction spans pages).
 */
export const PageStart = z.object({ seq: Seq, part: z.int().nonnegative() });
export type PageStart = z.infer<typeof PageStart>;

/** Writes a page start as it stands in a URL: `17`, or `17.3` in the middle of transaction 18. */
export function formatStart(start: PageStart): string {
  return start.part === 0 ? String(start.seq) : `${start.seq}.${start.part}`;
}

/** Reads what {@link formatStart} wrote; null when the text is not one. */
export function parseStart(text: string): PageStart | null {
  const match = /^(0|[1-9]\d{0,15})(?:\.([1-9]\d{0,9}))?$/.exec(text);
  if (!match) return null;
  const start = PageStart.safeParse({ seq: Number(match[1]), part: Number(match[2] ?? 0) });
  return start.success ? start.data : null;
}

/** A cursor as people see it in details: `7f3a…:5310`. */
export function formatCursor(cursor: Cursor): string {
  return `${cursor.epoch}:${cursor.seq}`;
}
