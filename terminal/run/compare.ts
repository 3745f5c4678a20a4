import { createHash } from 'node:crypto';
import {
  type DigestPart,
  type DigestRequest,
  type KeyRange,
  type RowsRequest,
  RowsTrailer,
  type SnapshotManifest,
} from '@tidemark/protocol/api';
import { TidemarkError } from '@tidemark/protocol/errors';
import type { WireRow } from '@tidemark/protocol/lines';
import type { Repair } from '@tidemark/replica/repair';
import type { ComparedTable } from '@tidemark/replica/staged-table';
import { runCooperatively } from '@tidemark/table-store/cooperative-task';
import type { TableRanges } from '@tidemark/table-store/digest';
import { ALL_ROWS } from '@tidemark/table-store/key-range';
import type { RelayClient, Transfer } from '../relay/relay-client.ts';
import { parse, RelayError } from '../relay/relay-errors.ts';

/**
 * Compares a replica with a snapshot of the relay: checksums of large ranges first, smaller ones where they differ, and
 * rows where few are left. See docs/protocol.md, C.
 */

/** A table's first parts have about this many rows. */
const FIRST_PART_ROWS = 20_000;
/** A range that differs is cut into at most this many. */
const PARTS = 64;
/** One of at most this many rows, and about this size, is fetched. */
const LEAF_ROWS = 50;
const LEAF_BYTES = 8 * 1024;
/** Limits of one request: of the relay; rows that it reads for it; parts that it answers. */
const ASKS = 256;
const REQUEST_ROWS = 2_000_000;
const REQUEST_PARTS = 4096;
/** Less than this is never worth a copy, bytes. */
const SMALL_BYTES = 64 * 1024;
/** A relay that is busy is asked again after this time where it does not say, ms; and for this long. */
const ASK_AGAIN_MS = 1_000;
const BUSY_MS = 15 * 60_000;

export interface CompareDeps {
  relay: Pick<RelayClient, 'digests' | 'rows'>;
  snapshot: SnapshotManifest;
  /** What its download would cost, bytes. */
  copyBytes: number;
  /** A copy may take the place of what would cost more. */
  mayCopy: boolean;
  signal: AbortSignal;
  transfer: Transfer;
  /** Rows of a table here that were compared since the last call. */
  compared(table: string, rows: number): void;
}

/** A range that differs. */
interface Suspect {
  table: ComparedTable;
  here: TableRanges;
  range: KeyRange;
  /** Rows of the relay in it. */
  rows: number;
  /** Rows here in it. */
  rowsHere: number;
}

/** Rows to be fetched; null: none, what is here in the range is to go. */
interface Leaf {
  table: ComparedTable;
  range: KeyRange;
  rows: number;
}

/** Puts what differs into `repair`. Gives whether a copy is cheaper: then it is not complete. Throws RelayErrors, page_corrupt, db_*, disk_full, `cancelled`. */
export async function compare(repair: Repair, deps: CompareDeps): Promise<'compared' | 'copy'> {
  return new Comparison(repair, deps).run();
}

class Comparison {
  readonly #repair: Repair;
  readonly #deps: CompareDeps;
  readonly #rowBytes: number;
  #spent = 0;
  /** The relay's answer is not coming: what is done meanwhile ends. */
  #failed = false;

  constructor(repair: Repair, deps: CompareDeps) {
    this.#repair = repair;
    const { transfer } = deps;
    const received = (bytes: number) => {
      this.#spent += bytes;
      transfer.received(bytes);
    };
    this.#deps = { ...deps, transfer: { received, deadline: (at) => transfer.deadline(at) } };
    this.#rowBytes = deps.copyBytes / Math.max(1, deps.snapshot.rows);
  }

  async run(): Promise<'compared' | 'copy'> {
    const leaves: Leaf[] = [];
    let suspects: Suspect[] = [];
    for (const table of this.#repair.tables) {
      if (table.here) suspects.push({ table, here: table.here, range: ALL_ROWS, rows: table.rows, rowsHere: -1 });
      else if (table.rows > 0) leaves.push({ table, range: ALL_ROWS, rows: table.rows });
    }
    for (let level = 0; suspects.length > 0; level++) {
      const differing = await this.#narrow(suspects, level === 0);
      suspects = [];
      for (const suspect of differing) {
        if (this.#isLeaf(suspect)) leaves.push(suspect);
        else suspects.push(suspect);
      }
      // What is narrowed further comes on top.
      if (this.#isDear(leaves)) return 'copy';
    }
    await this.#fetch(leaves);
    return 'compared';
  }

  #isDear(leaves: Leaf[]): boolean {
    const cost = this.#spent + leaves.reduce((sum, { rows }) => sum + rows, 0) * this.#rowBytes;
    return this.#deps.mayCopy && cost > SMALL_BYTES && cost > this.#deps.copyBytes;
  }

  #isLeaf({ table, rows, rowsHere }: Suspect): boolean {
    return table.schema.key.length === 0 || rows <= this.#leafRows() || rowsHere === 0;
  }

  #leafRows(): number {
    return Math.max(1, Math.min(LEAF_ROWS, Math.floor(LEAF_BYTES / Math.max(1, this.#rowBytes))));
  }

  #partsOf({ table, rows }: Suspect, first: boolean): number {
    if (table.schema.key.length === 0) return 1;
    return Math.max(first ? 1 : 2, Math.min(PARTS, Math.ceil(rows / (first ? FIRST_PART_ROWS : this.#leafRows()))));
  }

  /** Cuts ranges into parts and gives those that differ. */
  async #narrow(suspects: Suspect[], first: boolean): Promise<Suspect[]> {
    const differing: Suspect[] = [];
    for (const batch of this.#batches(suspects, first)) {
      const asks = batch.map((suspect) => ({
        table: suspect.table.id,
        range: suspect.range,
        parts: this.#partsOf(suspect, first),
      }));
      // The relay reads its rows while we read ours.
      const asked = this.#digests(asks);
      asked.catch(() => {
        this.#failed = true;
      });
      const [answers, known] = await Promise.allSettled([asked, this.#cutHere(batch, asks, first)]);
      if (answers.status === 'rejected') throw answers.reason;
      if (known.status === 'rejected') throw known.reason;
      for (const [i, suspect] of batch.entries())
        differing.push(...(await this.#differing(suspect, answers.value[i] ?? [], known.value[i] ?? new Map())));
    }
    return differing;
  }

  *#batches(suspects: Suspect[], first: boolean): Generator<Suspect[]> {
    let batch: Suspect[] = [];
    let rows = 0;
    let parts = 0;
    for (const suspect of suspects) {
      const its = this.#partsOf(suspect, first);
      if (
        batch.length === ASKS ||
        (batch.length > 0 && (rows + suspect.rows > REQUEST_ROWS || parts + its > REQUEST_PARTS))
      ) {
        yield batch;
        [batch, rows, parts] = [[], 0, 0];
      }
      batch.push(suspect);
      rows += suspect.rows;
      parts += its;
    }
    if (batch.length > 0) yield batch;
  }

  /** Our parts, by their ranges: cut as the relay cuts its own, they are the same where the keys are. */
  async #cutHere(batch: Suspect[], asks: DigestRequest['asks'], count: boolean): Promise<Map<string, DigestPart>[]> {
    const all: Map<string, DigestPart>[] = [];
    for (const [i, { table, here, range, rows }] of batch.entries()) {
      const parts = await this.#steps(here.split(range, asks[i]?.parts ?? 1, rows), count ? table.schema.name : null);
      const known = new Map<string, DigestPart>();
      let { after } = range;
      for (const part of parts) {
        known.set(nameOf({ after, upto: part.upto }), part);
        after = part.upto;
      }
      all.push(known);
    }
    return all;
  }

  async #differing(suspect: Suspect, parts: DigestPart[], known: Map<string, DigestPart>): Promise<Suspect[]> {
    const differing: Suspect[] = [];
    let { after } = suspect.range;
    for (const [i, part] of parts.entries()) {
      const last = i === parts.length - 1;
      if (!last && part.upto?.length !== suspect.table.schema.key.length) throw this.#notTidemark();
      const range = { after, upto: last ? suspect.range.upto : part.upto };
      const here = known.get(nameOf(range)) ?? (await this.#steps(suspect.here.digest(range), null));
      if (here.digest !== part.digest || here.rows !== part.rows)
        differing.push({ ...suspect, range, rows: part.rows, rowsHere: here.rows });
      after = range.upto;
    }
    if (parts.length === 0) throw this.#notTidemark();
    return differing;
  }

  /** `counted`: the table whose rows are read for the first time. */
  #steps<T>(steps: Parameters<typeof runCooperatively<T>>[0], counted: string | null): Promise<T> {
    return runCooperatively(steps, (rows) => {
      if (this.#deps.signal.aborted || this.#failed) throw new TidemarkError('cancelled');
      if (counted !== null) this.#deps.compared(counted, rows);
    });
  }

  /** Fetches rows and compares them with those here. */
  async #fetch(leaves: Leaf[]): Promise<void> {
    for (const { table, range } of leaves.filter(({ rows }) => rows === 0)) this.#settle(table, [range]);
    const asked = leaves.filter(({ rows }) => rows > 0);
    let rest = asked.map(({ table, range }) => ({ table: table.id, range }));
    while (rest.length > 0) {
      const asks = rest.slice(0, ASKS);
      const { lines, done, after } = this.#checked(await this.#rows(asks), asks);
      for (const [id, rows] of lines) this.#repair.addRows(id, rows);
      const settled = asks.slice(0, done);
      const cut = asks[done];
      if (cut && after) {
        // Of a range that goes on, what came is compared up to there.
        settled.push({ table: cut.table, range: { after: cut.range.after, upto: after } });
        rest = [{ table: cut.table, range: { after, upto: cut.range.upto } }, ...rest.slice(done + 1)];
      } else rest = rest.slice(done);
      this.#settleAll(settled);
      await new Promise((resolve) => setImmediate(resolve));
    }
    for (const { table } of leaves) if (table.schema.key.length === 0) this.#repair.compareKeyless(table.id);
  }

  #settleAll(settled: RowsRequest['asks']): void {
    const ranges = new Map<number, KeyRange[]>();
    for (const { table, range } of settled) ranges.set(table, [...(ranges.get(table) ?? []), range]);
    for (const table of this.#repair.tables) {
      const its = ranges.get(table.id);
      if (its) this.#settle(table, its);
    }
  }

  #settle(table: ComparedTable, ranges: KeyRange[]): void {
    if (table.schema.key.length > 0) this.#repair.compareRanges(table.id, ranges);
  }

  /** An answer to rows, once it is sure that it is whole and answers what was asked. */
  #checked(bytes: Buffer, asks: RowsRequest['asks']): { lines: [number, WireRow[]][] } & Omit<RowsTrailer, 'sha256'> {
    const trailerAt = bytes.lastIndexOf('\n', bytes.length - 2) + 1;
    const trailer = RowsTrailer.safeParse(parse(bytes.subarray(trailerAt)));
    const sha256 = createHash('sha256').update(bytes.subarray(0, trailerAt)).digest('hex');
    if (!trailer.success || trailer.data.sha256 !== sha256) throw new TidemarkError('page_corrupt');
    const { done, after } = trailer.data;
    const ids = new Set(asks.map(({ table }) => table));
    const lines = bytes
      .toString('utf8', 0, trailerAt)
      .split('\n')
      .filter((line) => line !== '')
      .map((line): [number, WireRow[]] => {
        const [kind, id, rows] = (parse(Buffer.from(line)) ?? []) as Partial<['i', number, WireRow[]]>;
        if (kind !== 'i' || id === undefined || !ids.has(id) || !Array.isArray(rows)) throw this.#notTidemark();
        return [id, rows];
      });
    if (done > asks.length || (done === 0 && after === null) || (after !== null && done === asks.length))
      throw this.#notTidemark();
    return { lines, done, after };
  }

  async #digests(asks: DigestRequest['asks']): Promise<DigestPart[][]> {
    const { relay, snapshot, signal, transfer } = this.#deps;
    const { answers } = await this.#patiently(() => relay.digests(snapshot, asks, signal, transfer));
    if (answers.length !== asks.length) throw this.#notTidemark();
    return answers;
  }

  #rows(asks: RowsRequest['asks']): Promise<Buffer> {
    const { relay, snapshot, signal, transfer } = this.#deps;
    return this.#patiently(() => relay.rows(snapshot, asks, signal, transfer));
  }

  /** Asks again while the relay makes the answer. */
  async #patiently<T>(ask: () => Promise<T>): Promise<T> {
    const until = Date.now() + BUSY_MS;
    for (;;) {
      try {
        return await ask();
      } catch (error) {
        if (!(error instanceof RelayError) || error.code !== 'relay_busy' || Date.now() > until) throw error;
        await this.#wait(error.retryAfterMs ?? ASK_AGAIN_MS);
      }
    }
  }

  #wait(ms: number): Promise<void> {
    const { signal } = this.#deps;
    return new Promise((resolve, reject) => {
      const end = () => {
        clearTimeout(timer);
        reject(new TidemarkError('cancelled'));
      };
      const timer = setTimeout(() => {
        signal.removeEventListener('abort', end);
        resolve();
      }, ms);
      if (signal.aborted) end();
      else signal.addEventListener('abort', end, { once: true });
    });
  }

  #notTidemark(): TidemarkError {
    return new TidemarkError('page_invalid', { detail: 'its answer to a comparison does not fit what was asked' });
  }
}

const nameOf = ({ after, upto }: KeyRange): string => JSON.stringify([after, upto]);
