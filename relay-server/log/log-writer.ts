import type { WireKey } from '@tidemark/protocol/lines';
import { ENTRY_BYTES } from '@tidemark/protocol/page';
import { INTEGER, query, row } from '@tidemark/table-store/query';
import { prepared, type Writer } from '@tidemark/table-store/sqlite';
import { EVERYONE_SCOPE } from '../routing/filters.ts';
import type { LogTotals } from './log-totals.ts';
import { TransactionTally } from './transaction-tally.ts';

/** An open log entry: lines of one scope that are not written yet. */
interface Entry {
  lines: Buffer[];
  bytes: number;
  changes: number;
  ids: Set<number>;
}

/** Converts a row's key to a map key, unique within its table. */
export function nameOfKey(key: WireKey): string | number | null {
  return key.length === 1 ? (key[0] ?? null) : JSON.stringify(key);
}

/** A line to add to one scope. */
interface ScopedLine {
  scope: string;
  bytes: Buffer;
  changes: number;
  /** Id and name of the line's table. */
  id: number;
  table: string;
  /** Number of rows that the line adds; negative if it removes rows. */
  rows: number;
}

/** Total size of open entries, in bytes, at which all are written. It bounds the writer's memory. */
const OPEN_BYTES = 4 * 1024 * 1024;
/** Number of remembered deleted keys at which all entries are written. */
const DELETED_MAX = 50_000;

const LAST_SEQ = row({ log: INTEGER, bytes: INTEGER });

/**
 * Writes one transaction to the log as entries for each of its scopes, in the form in which they are sent. Works inside
 * the caller's SQLite transaction.
 *
 * A terminal with several scopes applies their entries by part number, which counts across all scopes. Within a scope,
 * parts keep the order of the transaction. Across scopes, only one order matters: the delete of a key in one scope must
 * precede its insert in another. So the writer closes the entry with the delete before it adds the insert.
 */
export class LogWriter {
  readonly seq: number;
  readonly committedAt: string;
  readonly #db: Writer;
  readonly #tally: TransactionTally;
  readonly #open = new Map<string, Entry>();
  #openBytes = 0;
  /** By table and deleted key, the entry with the delete, which may still be open. */
  readonly #deleted = new Map<string, { scope: string; entry: Entry }>();
  #lastPart = 0;
  /** Row number of the last entry in the log; 0 before the first. */
  #lastLog = 0;
  #bytes = 0;

  /** `committedAt` is the master's text, which is stored and sent verbatim. */
  constructor(db: Writer, totals: LogTotals, seq: number, committedAt: string) {
    this.#db = db;
    this.#tally = new TransactionTally(db, totals);
    this.seq = seq;
    this.committedAt = committedAt;
  }

  /** The scopes in which the transaction has changes. */
  get scopes(): IterableIterator<string> {
    return this.#tally.scopes;
  }

  /** Adds a line of rows. */
  add({ scope, bytes, changes, id, table, rows }: ScopedLine): void {
    this.#push(scope, bytes, changes, id);
    this.#tally.addToTable(scope, table, changes, rows);
  }

  /** Records that the line just added to a scope deletes a key. */
  onDelete(scope: string, id: number, key: WireKey): void {
    const entry = this.#open.get(scope);
    if (entry) this.#deleted.set(`${id} ${nameOfKey(key)}`, { scope, entry });
    if (this.#deleted.size >= DELETED_MAX) this.#writeAll();
  }

  /** Must be called before a row of this key is inserted into a scope. */
  beforeInsert(scope: string, id: number, key: WireKey): void {
    if (this.#deleted.size === 0) return;
    const before = this.#deleted.get(`${id} ${nameOfKey(key)}`);
    if (before && before.scope !== scope && this.#open.get(before.scope) === before.entry) this.#write(before.scope);
  }

  /**
   * Adds a line that changes a table itself, to the scope of all terminals. `emptied` states whether the table lost its
   * rows in every scope. `was` is the previous name of the table.
   */
  addStructure(bytes: Buffer, id: number | null, table: string, change: { emptied: boolean; was?: string }): void {
    this.#writeAll();
    this.#push(EVERYONE_SCOPE, bytes, 1, id);
    this.#writeAll();
    this.#tally.addToTable(EVERYONE_SCOPE, table, 1, 0);
    if (change.was !== undefined && change.was !== table) this.#tally.rename(change.was, table);
    if (change.emptied) this.#tally.empty(table);
  }

  /** Ends the transaction: writes the open entries and the running totals. */
  end(): void {
    this.#writeAll();
    this.#tally.write(this.seq, this.committedAt);
    const before = query(
      this.#db,
      'SELECT last_log AS log, sum_bytes AS bytes FROM tidemark_seq ORDER BY seq DESC LIMIT 1',
      LAST_SEQ,
    ).get();
    prepared(this.#db, 'INSERT INTO tidemark_seq VALUES (?, ?, ?, ?)').run(
      this.seq,
      this.committedAt,
      this.#lastLog || (before?.log ?? 0),
      (before?.bytes ?? 0) + this.#bytes,
    );
  }

  #push(scope: string, bytes: Buffer, changes: number, id: number | null): void {
    if ((this.#open.get(scope)?.bytes ?? 0) >= ENTRY_BYTES) this.#write(scope);
    let entry = this.#open.get(scope);
    if (!entry) {
      entry = { lines: [], bytes: 0, changes: 0, ids: new Set() };
      this.#open.set(scope, entry);
    }
    entry.lines.push(bytes);
    entry.bytes += bytes.length;
    entry.changes += changes;
    if (id !== null) entry.ids.add(id);
    this.#openBytes += bytes.length;
    this.#tally.addLines(scope, changes, bytes.length);
    if (this.#openBytes >= OPEN_BYTES) this.#writeAll();
  }

  #writeAll(): void {
    for (const scope of [...this.#open.keys()]) this.#write(scope);
    this.#deleted.clear();
  }

  /** Writes the open entry of a scope as the next part. */
  #write(scope: string): void {
    const entry = this.#open.get(scope);
    if (!entry) return;
    this.#open.delete(scope);
    this.#openBytes -= entry.bytes;
    this.#bytes += entry.bytes;
    const { lastInsertRowid } = prepared(
      this.#db,
      'INSERT INTO tidemark_log (scope, seq, part, body, changes, ids, committed_at) VALUES (?, ?, ?, ?, ?, ?, ?)',
    ).run(
      scope,
      this.seq,
      ++this.#lastPart,
      entry.lines.length === 1 ? entry.lines[0] : Buffer.concat(entry.lines),
      entry.changes,
      JSON.stringify([...entry.ids]),
      this.committedAt,
    );
    this.#lastLog = Number(lastInsertRowid);
  }
}
