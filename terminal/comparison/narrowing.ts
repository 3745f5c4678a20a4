import type { DigestPart, DigestRequest, KeyRange } from '@tidemark/protocol/api';
import { TidemarkError } from '@tidemark/protocol/errors';
import type { ComparedTable } from '@tidemark/replica/staged-table';
import { runCooperatively } from '@tidemark/table-store/cooperative-task';
import type { TableRanges } from '@tidemark/table-store/digest';
import { MAX_ASKS, type RelayAnswers, unexpectedAnswer } from './relay-answers.ts';

/**
 * Finds ranges of keys whose digests differ. Relay and replica cut a range into parts by the same rule, so where the
 * keys are equal, the parts have equal bounds. Elsewhere, the replica computes the digest within the bounds of the
 * relay's part.
 */

/** Approximate number of rows in the first parts of a table. */
const FIRST_PART_ROWS = 20_000;
/** The largest number of parts into which a range is cut. */
const MAX_PARTS = 64;
/** A range with at most this many rows and about this many bytes is not cut further. Its rows are fetched. */
const LEAF_ROWS = 50;
const LEAF_BYTES = 8 * 1024;
/** Limits of one request: the number of rows that the relay reads for it, and the number of parts in the answer. */
const REQUEST_ROWS = 2_000_000;
const REQUEST_PARTS = 4096;

/** A range whose rows may differ. */
export interface Suspect {
  table: ComparedTable;
  /** The replica's table. */
  here: TableRanges;
  range: KeyRange;
  /** Number of the relay's rows in the range. */
  rows: number;
  /** Number of the replica's rows in the range. */
  rowsHere: number;
}

export interface NarrowingDeps {
  answers: RelayAnswers;
  /** Mean size of a row on the network, bytes. */
  rowBytes: number;
  signal: AbortSignal;
  /** Called with the number of the replica's rows that were read for the first time. */
  onCompared(table: string, rows: number): void;
}

export class Narrowing {
  readonly #deps: NarrowingDeps;
  readonly #leafRows: number;
  /** Whether the request to the relay has failed, so that the replica need not compute its half. */
  #abandoned = false;

  constructor(deps: NarrowingDeps) {
    this.#deps = deps;
    this.#leafRows = Math.max(1, Math.min(LEAF_ROWS, Math.floor(LEAF_BYTES / Math.max(1, deps.rowBytes))));
  }

  /** Whether the rows of a range are fetched, because it is small enough or cannot be cut. */
  isLeaf({ table, rows, rowsHere }: Suspect): boolean {
    return table.schema.key.length === 0 || rows <= this.#leafRows || rowsHere === 0;
  }

  /** Cuts ranges into parts and returns the parts that differ. `level` 0: the first digests of the tables. */
  async narrow(suspects: Suspect[], level: number): Promise<Suspect[]> {
    const first = level === 0;
    const differing: Suspect[] = [];
    for (const batch of this.#batches(suspects, first)) {
      const asks = batch.map((suspect) => ({
        table: suspect.table.id,
        range: suspect.range,
        parts: this.#partsOf(suspect, first),
      }));
      // The relay reads its rows while the replica reads its own.
      const asked = this.#deps.answers.digests(asks);
      asked.catch(() => {
        this.#abandoned = true;
      });
      const [answers, own] = await Promise.allSettled([asked, this.#cutOwn(batch, asks, first)]);
      if (answers.status === 'rejected') throw answers.reason;
      if (own.status === 'rejected') throw own.reason;
      for (const [i, suspect] of batch.entries()) {
        const parts = answers.value[i] ?? [];
        requireNarrower(suspect, parts, asks[i]?.parts ?? 1, first);
        differing.push(...(await this.#differing(suspect, parts, own.value[i] ?? new Map())));
      }
    }
    return differing;
  }

  #partsOf({ table, rows }: Suspect, first: boolean): number {
    if (table.schema.key.length === 0) return 1;
    return Math.max(first ? 1 : 2, Math.min(MAX_PARTS, Math.ceil(rows / (first ? FIRST_PART_ROWS : this.#leafRows))));
  }

  *#batches(suspects: Suspect[], first: boolean): Generator<Suspect[]> {
    let batch: Suspect[] = [];
    let rows = 0;
    let parts = 0;
    for (const suspect of suspects) {
      const suspectParts = this.#partsOf(suspect, first);
      const over = rows + suspect.rows > REQUEST_ROWS || parts + suspectParts > REQUEST_PARTS;
      if (batch.length === MAX_ASKS || (batch.length > 0 && over)) {
        yield batch;
        [batch, rows, parts] = [[], 0, 0];
      }
      batch.push(suspect);
      rows += suspect.rows;
      parts += suspectParts;
    }
    if (batch.length > 0) yield batch;
  }

  /** Returns the replica's parts of each range, by their bounds. */
  async #cutOwn(batch: Suspect[], asks: DigestRequest['asks'], first: boolean): Promise<Map<string, DigestPart>[]> {
    const cuts: Map<string, DigestPart>[] = [];
    for (const [i, { table, here, range, rows }] of batch.entries()) {
      const counted = first ? table.schema.name : null;
      const parts = await this.#read(here.split(range, asks[i]?.parts ?? 1, rows), counted);
      const byBounds = new Map<string, DigestPart>();
      let { after } = range;
      for (const part of parts) {
        byBounds.set(boundsOf({ after, upto: part.upto }), part);
        after = part.upto;
      }
      cuts.push(byBounds);
    }
    return cuts;
  }

  async #differing(suspect: Suspect, parts: DigestPart[], own: Map<string, DigestPart>): Promise<Suspect[]> {
    if (parts.length === 0) throw unexpectedAnswer();
    const differing: Suspect[] = [];
    let { after } = suspect.range;
    for (const [i, part] of parts.entries()) {
      const last = i === parts.length - 1;
      if (!last && part.upto?.length !== suspect.table.schema.key.length) throw unexpectedAnswer();
      const range = { after, upto: last ? suspect.range.upto : part.upto };
      const here = own.get(boundsOf(range)) ?? (await this.#read(suspect.here.digest(range), null));
      if (here.digest !== part.digest || here.rows !== part.rows)
        differing.push({ ...suspect, range, rows: part.rows, rowsHere: here.rows });
      after = range.upto;
    }
    return differing;
  }

  /**
   * Reads rows in steps, and gives the event loop a turn after each. `counted`: the table whose rows are read for the
   * first time.
   */
  #read<T>(task: Parameters<typeof runCooperatively<T>>[0], counted: string | null): Promise<T> {
    return runCooperatively(task, (rows) => {
      if (this.#deps.signal.aborted || this.#abandoned) throw new TidemarkError('cancelled');
      if (counted !== null) this.#deps.onCompared(counted, rows);
    });
  }
}

/**
 * Throws relay_no_progress unless the relay has divided a range as C3 requires. Ranges that do not become smaller would be
 * requested forever. `first`: the first digests of a table, which may be one part.
 */
function requireNarrower({ rows }: Suspect, parts: DigestPart[], asked: number, first: boolean): void {
  const largest = Math.ceil(rows / asked);
  const isWider = parts.length > asked || (!first && parts.some((part) => part.rows > largest));
  if (isWider) throw new TidemarkError('relay_no_progress');
}

const boundsOf = ({ after, upto }: KeyRange): string => JSON.stringify([after, upto]);
