import { asTidemarkError, TidemarkError } from '@tidemark/protocol/errors';
import { BATCH_BYTES } from '@tidemark/protocol/page';
import { SetAsideReason } from '@tidemark/protocol/trouble';
import { type SourceTrouble, TableFault } from '../source.ts';
import { ROW_TODO } from './row-size.ts';

/**
 * Recognises a fault that belongs to one place of the log, or to one table, whatever its code (F17, F19).
 *
 * A fault that a few sessions meet at the same position, with no new durable position in between, is permanent: reading
 * that part of the log again does not help. A base copy then gets past the place. It reads one table after another, so
 * it finds the table that causes the fault, and the feed sets this table aside. A lost connection is not such a fault,
 * however often it repeats.
 */

/** Number of sessions that must fail at one position. */
const TRIES = 3;
/** The wait before the second base copy for this reason, and the longest one, in ms. */
const FIRST_WAIT_MS = 10 * 60_000;
const LONGEST_WAIT_MS = 24 * 60 * 60_000;
/**
 * Classes of SQLSTATE in which the master cannot decode its own log. They are data exceptions (such as a character that
 * UTF-8 cannot represent), limits (such as a row larger than 1 GB), memory, and internal errors.
 */
const UNDECODABLE = /^(22|54|53200|XX)/;

export class FailedPlace {
  readonly #now: () => number;
  #position: string | null = null;
  #count = 0;
  #waitMs = 0;
  #nextAtMs = 0;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Notes a fault at the relay's position. Returns whether a base copy must get past it now. */
  isPermanent(error: unknown, position: string | null): boolean {
    if (position === null || !mayBelongToLog(error)) return false;
    this.#count = this.#position === position ? this.#count + 1 : 1;
    this.#position = position;
    return this.#count >= TRIES && this.mayCopy();
  }

  /** Returns whether a base copy may get past a place now. Begins the wait before the next one. */
  mayCopy(): boolean {
    if (this.#now() < this.#nextAtMs) return false;
    this.#waitMs = Math.min(LONGEST_WAIT_MS, this.#waitMs === 0 ? FIRST_WAIT_MS : 2 * this.#waitMs);
    this.#nextAtMs = this.#now() + this.#waitMs;
    this.#count = 0;
    return true;
  }
}

function mayBelongToLog(error: unknown): boolean {
  if (!(error instanceof TidemarkError)) return true;
  if (error.code === 'internal' || error.code === 'source_unsupported') return true;
  const { code = '' } = (error.cause ?? {}) as { code?: string };
  return error.code === 'source_lost' && UNDECODABLE.test(code);
}

/** Returns the fault of the table that the relay names in a refusal, or null if it names none of these tables. */
export function refusedTable(error: unknown, ids: ReadonlyMap<string, number>): TableFault | null {
  if (!(error instanceof TidemarkError) || error instanceof TableFault) return null;
  const { table } = error.params;
  if (typeof table !== 'string') return null;
  const named = SetAsideReason.safeParse(error.params.reason);
  const reason = named.success ? named.data : error.code === 'filter_invalid' ? 'filter_invalid' : 'other';
  const todo = reason === 'row_too_large' ? ROW_TODO : `Correct relay.yaml or the table${OR_EXCLUDE}`;
  return faultOf({ table, reason, detail: error.message, todo }, ids, error);
}

/** Returns the fault of the table whose rows are refused by something that names no table. Null for an unknown table. */
export function unnamedRefusal(
  error: unknown,
  { table, isSize, bytes }: { table: string; isSize: boolean; bytes: number },
  ids: ReadonlyMap<string, number>,
): TableFault | null {
  const size = bytes.toLocaleString('en-GB');
  const detail = `Rows of ${table} are refused on the way to the relay, in a request of ${size} bytes: ${asTidemarkError(error).message}`;
  const todo = isSize
    ? `Raise the limit on the size of a request in the proxy between feed and relay to ${BATCH_BYTES.toLocaleString('en-GB')} bytes${OR_EXCLUDE}`
    : `Look into the logs of the relay and of the proxy between feed and relay${OR_EXCLUDE}`;
  return faultOf({ table, reason: isSize ? 'row_too_large' : 'other', detail, todo }, ids, error);
}

const OR_EXCLUDE =
  ', or exclude the table in relay.yaml. The feed reads the table again within an hour, or at once after a restart of the feed.';

function faultOf(
  trouble: Omit<SourceTrouble, 'id'>,
  ids: ReadonlyMap<string, number>,
  cause: unknown,
): TableFault | null {
  const id = ids.get(trouble.table);
  return id === undefined ? null : new TableFault({ id, ...trouble }, cause);
}
