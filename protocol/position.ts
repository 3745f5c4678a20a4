import { z } from 'zod';

/**
 * A position in a master's log: `<sortable>` or `<sortable>~<own>`.
 *
 * - `sortable`: 16 hex digits whose text order is log order. The relay compares positions by it.
 * - `own`: the source's own form of the position, such as a GTID, when the source cannot derive it from the digits.
 *   Only the source reads it. All other code stores it and returns it unchanged.
 *
 * Postgres writes the LSN as `sortable` and needs no `own`.
 */
export const SourcePosition = z.string().regex(/^[0-9A-F]{16}(?:~[A-Za-z0-9.,:/_-]{1,1000})?$/);
export type SourcePosition = string;

const SORTABLE = 16;

/** Returns the sortable part of a position. */
export function sortable(position: SourcePosition): string {
  return position.slice(0, SORTABLE);
}

/** Whether `position` lies after `other` in the log. */
export function isAfter(position: SourcePosition, other: SourcePosition): boolean {
  return sortable(position) > sortable(other);
}
