import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { asTidemarkError, TidemarkError } from '@tidemark/protocol/errors';
import { z } from 'zod';
import type { Filters } from '../routing/filters.ts';
import { BuilderThread } from '../threads/builder-thread.ts';
import type { FeedQueue } from '../threads/feed-queue.ts';
import { RetryLater } from '../threads/retry-later.ts';
import { COMPACTION_CALLS, Compacted, type CompactionRange } from './compaction-calls.ts';

/**
 * The compacted pages of one feed. They are built on demand, in turns between the keys of all feeds, and kept in files
 * for every terminal with the same range. The class also remembers ranges that compaction does not make smaller. A file is complete before
 * its `.json` exists. The next start removes a file without a `.json`.
 */

/**
 * Version of the page format, part of the file names. A terminal must not resume pages of one format with pages of
 * another.
 */
const FORMAT = 1;
/** Limits on the kept ranges: their number, and their total size in bytes. */
const KEPT_MAX = 500;
const KEPT_MAX_BYTES = 256 * 1024 * 1024;
/** How long requests for a range get `squash_larger` after a failed build, in ms. */
const FAILED_MS = 60_000;

/**
 * Content of a `.json` file. `squash` is null if compaction does not make the range smaller. Released versions wrote
 * this form, so it must not change.
 */
const KeptFile = z.object({ squash: Compacted.nullable() });

/** One page, with the number of changes and bytes of all pages of its range. */
interface CompactedPage {
  /** Returns the page's bytes, in a buffer that holds nothing else. */
  read(): Uint8Array<ArrayBuffer>;
  changes: number;
  bytes: number;
}

interface CompactedPagesDeps {
  feed: string;
  /** The feed's folder, and the path of its database. */
  folder: string;
  file: string;
  filters: Filters;
  queue: FeedQueue;
  now: () => number;
  onFailure: (error: TidemarkError) => void;
}

export class CompactedPages {
  readonly #deps: CompactedPagesDeps;
  readonly #folder: string;
  /** Kept ranges by name, least recently used first. Null if compaction did not make the range smaller. */
  readonly #kept = new Map<string, Compacted | null>();
  /** By name, the time of a failed build in ms. */
  readonly #failedAtMs = new Map<string, number>();
  readonly #thread = new BuilderThread({
    module: new URL('./compaction-worker.ts', import.meta.url),
    name: 'the compaction thread',
    methods: COMPACTION_CALLS,
  });

  constructor(deps: CompactedPagesDeps) {
    this.#deps = deps;
    this.#folder = path.join(deps.folder, 'squashes');
    mkdirSync(this.#folder, { recursive: true });
    this.#readFolder();
    this.#dropOldest();
  }

  /**
   * Returns page number `part` of a range, counted from 0. Throws squash_building during the build, squash_larger if
   * the terminal must use ordinary pages, relay_busy if the queue of builds is full, and request_invalid if the page
   * does not exist. `key` names the holder of the access key.
   */
  page(range: CompactionRange, part: number, key: string): CompactedPage {
    const name = nameOf(range);
    const kept = this.#kept.get(name);
    if (kept === undefined) {
      const failedAtMs = this.#failedAtMs.get(name);
      if (failedAtMs !== undefined && this.#deps.now() - failedAtMs < FAILED_MS)
        throw new TidemarkError('squash_larger');
      const accepted = this.#deps.queue.ask(name, key, () => this.#build(name, range));
      throw new RetryLater(accepted ? 'squash_building' : 'relay_busy', this.#deps.queue.retryAfterS(name, key));
    }
    this.#use(name, kept);
    if (kept === null) throw new TidemarkError('squash_larger');
    const { ends, changes, bytes } = kept;
    const to = ends[part];
    if (to === undefined) throw new TidemarkError('request_invalid', { detail: `there is no page ${part}` });
    const from = part === 0 ? 0 : (ends[part - 1] ?? 0);
    return { read: () => readRange(this.#path(name), from, to), changes, bytes };
  }

  /** Reports whether an earlier build found that compaction does not make this range smaller. */
  refused(range: Omit<CompactionRange, 'scopes'>): boolean {
    return this.#kept.get(nameOf(range)) === null;
  }

  async close(): Promise<void> {
    this.#deps.queue.close();
    await this.#thread.end();
  }

  async #build(name: string, range: CompactionRange): Promise<void> {
    const building = path.join(this.#folder, 'building');
    rmSync(building, { force: true });
    const { file, feed, filters } = this.#deps;
    try {
      const compacted = await this.#thread.run({ source: { ...range, file, feed, filters }, file: building });
      this.#admit(name, building, compacted);
    } catch (error) {
      this.#failedAtMs.set(name, this.#deps.now());
      this.#deps.onFailure(asTidemarkError(error));
    } finally {
      rmSync(building, { force: true });
    }
  }

  #admit(name: string, built: string, kept: Compacted | null): void {
    if (kept) renameSync(built, this.#path(name));
    const content: z.input<typeof KeptFile> = { squash: kept };
    writeFileSync(`${this.#path(name)}.json.part`, JSON.stringify(content));
    renameSync(`${this.#path(name)}.json.part`, `${this.#path(name)}.json`);
    this.#kept.set(name, kept);
    this.#failedAtMs.clear();
    this.#dropOldest();
  }

  #use(name: string, kept: Compacted | null): void {
    if ([...this.#kept.keys()].at(-1) === name) return;
    this.#kept.delete(name);
    this.#kept.set(name, kept);
    // The file's modification time preserves the order of use across a restart.
    const now = new Date(this.#deps.now());
    utimesSync(`${this.#path(name)}.json`, now, now);
  }

  #dropOldest(): void {
    let bytes = [...this.#kept.values()].reduce((sum, kept) => sum + (kept?.bytes ?? 0), 0);
    for (const [name, kept] of this.#kept) {
      if (this.#kept.size <= 1 || (this.#kept.size <= KEPT_MAX && bytes <= KEPT_MAX_BYTES)) return;
      bytes -= kept?.bytes ?? 0;
      this.#kept.delete(name);
      for (const suffix of ['.json', '']) rmSync(this.#path(name) + suffix, { force: true });
    }
  }

  /** Finds pages from an earlier process. Removes unfinished files and pages of another format. */
  #readFolder(): void {
    const files = readdirSync(this.#folder);
    const names = files.filter((file) => file.endsWith('.json')).map((file) => file.slice(0, -'.json'.length));
    const usedAtMs = new Map(names.map((name) => [name, statSync(`${this.#path(name)}.json`).mtimeMs]));
    for (const name of names.sort((a, b) => (usedAtMs.get(a) ?? 0) - (usedAtMs.get(b) ?? 0))) {
      const { squash: kept } = KeptFile.parse(JSON.parse(readFileSync(`${this.#path(name)}.json`, 'utf8')));
      if (name.endsWith(`-${FORMAT}`) && (kept === null || existsSync(this.#path(name)))) this.#kept.set(name, kept);
    }
    for (const file of files)
      if (!this.#kept.has(file.replace(/\.json$/, ''))) rmSync(path.join(this.#folder, file), { force: true });
  }

  #path(name: string): string {
    return path.join(this.#folder, name);
  }
}

const nameOf = ({ epoch, set, start, target }: Omit<CompactionRange, 'scopes'>) =>
  `${epoch}-${set}-${start}-${target}-${FORMAT}`;

function readRange(file: string, from: number, to: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(to - from);
  const handle = openSync(file, 'r');
  try {
    if (readSync(handle, bytes, 0, bytes.length, from) !== bytes.length)
      throw new TidemarkError('internal', { detail: `${file} is cut short` });
    return bytes;
  } finally {
    closeSync(handle);
  }
}
