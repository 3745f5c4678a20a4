import { createHash } from 'node:crypto';
import { closeSync, fsyncSync, openSync, writeFileSync } from 'node:fs';
import type { PageStart, Seq } from '@tidemark/protocol/cursor';
import { PAGE_BYTES, type PageHeader, type PageTrailer } from '@tidemark/protocol/page';

const line = (value: unknown) => Buffer.from(`${JSON.stringify(value)}\n`);

/**
 * Writes the pages of one transaction, one after the other, into a file: header, schemas, lines, trailer, each page like one
 * from the log. Call `begin`, `add` for each line, `commit`, and `close` whatever happened. The file is synced by `commit`.
 */
export class PageFile {
  readonly #file: number;
  readonly #name: Omit<PageHeader, 'start'>;
  readonly #from: Seq;
  readonly #schemaLine: (id: number) => Buffer;
  #lines: Buffer[] = [];
  #size = 0;
  #ids = new Set<number>();
  #changes = 0;
  #part = 0;
  /** Where each page ends in the file, bytes. */
  readonly ends: number[] = [];
  /** Totals of all pages. */
  changes = 0;
  bytes = 0;

  /** `name`: the fields that all pages share. `from`: the seq from which the first one starts. */
  constructor(file: string, name: Omit<PageHeader, 'start'>, from: Seq, schemaLine: (id: number) => Buffer) {
    this.#file = openSync(file, 'w');
    this.#name = name;
    this.#from = from;
    this.#schemaLine = schemaLine;
  }

  begin(committedAt: string): void {
    this.#push(line(['b', this.#name.target, committedAt]));
  }

  /** Adds a line of table `id`. */
  add(id: number, bytes: Buffer, changes: number): void {
    if (this.#size >= PAGE_BYTES) this.#end({ seq: this.#from, part: this.#part + 1 });
    this.#ids.add(id);
    this.#changes += changes;
    this.changes += changes;
    this.#push(bytes);
  }

  /** Ends the transaction and its last page, and syncs the file to disk. */
  commit(): void {
    this.#push(line(['c', this.#name.target, this.changes]));
    this.#end({ seq: this.#name.target, part: 0 });
    fsyncSync(this.#file);
  }

  close(): void {
    closeSync(this.#file);
  }

  #push(bytes: Buffer): void {
    this.#lines.push(bytes);
    this.#size += bytes.length;
  }

  /** Writes the page, and starts the next one. */
  #end(next: PageStart): void {
    const header: PageHeader = { ...this.#name, start: { seq: this.#from, part: this.#part } };
    const parts = [line(header), ...[...this.#ids].map(this.#schemaLine), ...this.#lines];
    const hash = createHash('sha256');
    for (const part of parts) hash.update(part);
    const trailer: PageTrailer = { next, changes: this.#changes, sha256: hash.digest('hex') };
    const page = Buffer.concat([...parts, line(trailer)]);
    writeFileSync(this.#file, page);
    this.bytes += page.length;
    this.ends.push(this.bytes);
    this.#part++;
    this.#lines = [];
    this.#size = 0;
    this.#ids = new Set();
    this.#changes = 0;
  }
}
