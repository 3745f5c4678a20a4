import { ENTRY_BYTES } from '@tidemark/protocol/page.ts';
import { prepared, type Writer } from '@tidemark/replica/sqlite.ts';
import { EVERYONE_SCOPE } from './log-format.ts';

interface Sums {
  transactions: number;
  changes: number;
  bytes: number;
}

/** Writes one transaction to the log, entry by entry, as it will be sent. */
export class LogWriter {
  readonly seq: number;
  readonly committedAt: string;
  changes = 0;
  readonly #db: Writer;
  readonly #tables = new Map<string, number>();
  #entry: Buffer[] = [];
  #entryBytes = 0;
  #entryChanges = 0;
  #entryIds = new Set<number>();
  #part = 0;
  #bytes = 0;

  constructor(db: Writer, seq: number, committedAt: string) {
    this.#db = db;
    this.seq = seq;
    this.committedAt = committedAt;
    this.#push(Buffer.from(`${JSON.stringify(['b', seq, committedAt])}\n`));
  }

  /** Adds a line. `id` and `table`: what it changes. */
  add(bytes: Buffer, changes: number, id: number | null, table: string): void {
    if (this.#entryBytes >= ENTRY_BYTES) this.#flush(false);
    this.#push(bytes);
    this.#entryChanges += changes;
    this.changes += changes;
    if (id !== null) this.#entryIds.add(id);
    this.#tables.set(table, (this.#tables.get(table) ?? 0) + changes);
  }

  /** Ends the transaction. */
  end(): void {
    this.#push(Buffer.from(`${JSON.stringify(['c', this.seq, this.changes])}\n`));
    this.#flush(true);
    const before = prepared(
      this.#db,
      'SELECT sum_transactions AS transactions, sum_changes AS changes, sum_bytes AS bytes FROM tidemark_transaction WHERE scope = ? ORDER BY seq DESC LIMIT 1',
    ).get(EVERYONE_SCOPE) as Sums | undefined;
    const sums = before ?? { transactions: 0, changes: 0, bytes: 0 };
    prepared(this.#db, 'INSERT INTO tidemark_transaction VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)').run(
      EVERYONE_SCOPE,
      this.seq,
      this.committedAt,
      this.changes,
      this.#bytes,
      JSON.stringify([...this.#tables.keys()]),
      sums.transactions + 1,
      sums.changes + this.changes,
      sums.bytes + this.#bytes,
    );
    const last = prepared(
      this.#db,
      'SELECT sum_changes AS sum FROM tidemark_table_change WHERE scope = ? AND name = ? ORDER BY seq DESC LIMIT 1',
    );
    const add = prepared(this.#db, 'INSERT INTO tidemark_table_change VALUES (?, ?, ?, ?, ?)');
    for (const [name, changes] of this.#tables) {
      const sum = (last.get(EVERYONE_SCOPE, name) as { sum: number } | undefined)?.sum ?? 0;
      add.run(EVERYONE_SCOPE, name, this.seq, this.committedAt, sum + changes);
    }
  }

  #push(bytes: Buffer): void {
    this.#entry.push(bytes);
    this.#entryBytes += bytes.length;
  }

  #flush(last: boolean): void {
    this.#part++;
    this.#bytes += this.#entryBytes;
    prepared(
      this.#db,
      'INSERT INTO tidemark_log (scope, seq, part, body, changes, ids, last) VALUES (?, ?, ?, ?, ?, ?, ?)',
    ).run(
      EVERYONE_SCOPE,
      this.seq,
      this.#part,
      Buffer.concat(this.#entry),
      this.#entryChanges,
      JSON.stringify([...this.#entryIds]),
      last ? 1 : 0,
    );
    this.#entry = [];
    this.#entryBytes = 0;
    this.#entryChanges = 0;
    this.#entryIds = new Set();
  }
}
