import { createHash } from 'node:crypto';
import { closeSync, fsyncSync, openSync, writeFileSync } from 'node:fs';
import type { PageStart, Seq } from '@tidemark/protocol/cursor';
import { PAGE_BYTES, type PageHeader, type PageTrailer } from '@tidemark/protocol/page';

const line = (value: unknown) => Buffer.from(`${JSON.stringify(value)}\n`);

/**
 * Writes the pages of one transaction to a file, one after another. Each has the same form as an ordinary page: header,
 * schemas, lines, trailer. Call `begin`, then `add` for each line, then `commit`, which syncs the file. Always call
 * `close`, even after an error.
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
  /** The offset of each page's end in the file, in bytes. */
  readonly ends: number[] = [];
  /** Number of changes and bytes of all pages. */
  changes = 0;
  bytes = 0;

  /** `name` holds the header fields that all pages share. The first page starts from the seq `from`. */
  constructor(file: string, name: Omit<PageHeader, 'start'>, from: Seq, schemaLine: (id: number) => Buffer) {
    this.#file = openSync(file, 'w');
    this.#name = name;
    this.#from = from;
    this.#schemaLine = schemaLine;
  }

  begin(committedAt: string): void {
    this.#push(line(['b', this.#name.target, committedAt]));
  }

  /** Adds an encoded line of the table `id`. */
  add(id: number, bytes: Buffer, changes: number): void {
    if (this.#size >= PAGE_BYTES) this.#end({ seq: this.#from, part: this.#part + 1 });
    this.#ids.add(id);
    this.#changes += changes;
    this.changes += changes;
    this.#push(bytes);
  }

  /** Writes the end of the transaction and of its last page, and syncs the file to disk. */
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
