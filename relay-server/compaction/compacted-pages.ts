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
import { COMPACTION_CALLS, Compacted, type CompactionRange, type CompactionSource } from './compaction-calls.ts';

/** Form of the pages: one that is built otherwise is another one, which must not go on where this one ended. */
const FORM = 1;
/** What is kept for other terminals with the same range: as many, and in all as large, bytes. */
const KEPT = 50;
const KEPT_BYTES = 256 * 1024 * 1024;
/** How long it is remembered that a build failed, ms. */
const FAILED_MS = 60_000;

/** Null: the range is not smaller when each row comes once. */
const Kept = z.object({ squash: Compacted.nullable() });
type Kept = z.infer<typeof Kept>;

/** One page, and the changes and bytes of all pages of its squash. */
export interface SquashedPage {
  read(): Buffer;
  changes: number;
  bytes: number;
}

/** The squashed pages of one feed: built on demand, one build at a time, kept for every terminal with the same range. */
export class Squashes {
  readonly #feed: string;
  readonly #folder: string;
  readonly #file: string;
  readonly #filters: Filters;
  readonly #now: () => number;
  readonly #failed: (error: TidemarkError) => void;
  /** By name, last used last. */
  readonly #kept = new Map<string, Kept>();
  readonly #faults = new Map<string, number>();
  #building: string | null = null;
  readonly #thread = new BuilderThread({
    module: new URL('./compaction-worker.ts', import.meta.url),
    name: 'the compaction thread',
    methods: COMPACTION_CALLS,
  });

  /** `file`: the feed's database. `failed` is told of builds that did not succeed. */
  constructor(
    feed: string,
    feedFolder: string,
    file: string,
    filters: Filters,
    now: () => number,
    failed: (error: TidemarkError) => void,
  ) {
    this.#feed = feed;
    this.#folder = path.join(feedFolder, 'squashes');
    this.#file = file;
    this.#filters = filters;
    this.#now = now;
    this.#failed = failed;
    mkdirSync(this.#folder, { recursive: true });
    this.#readFolder();
    this.#dropOldest();
  }

  /**
   * Page number `part` of a range, the first is 0. Throws squash_building while it is made, squash_larger when ordinary
   * pages are to be asked for, request_invalid when there is no such page.
   */
  page(range: CompactionRange, part: number): SquashedPage {
    const name = nameOf(range);
    const kept = this.#kept.get(name);
    if (!kept) {
      if (this.#now() - (this.#faults.get(name) ?? Number.NEGATIVE_INFINITY) < FAILED_MS)
        throw new TidemarkError('squash_larger');
      if (this.#building === null) this.#build(name, range);
      throw new TidemarkError('squash_building');
    }
    this.#use(name, kept);
    if (kept.squash === null) throw new TidemarkError('squash_larger');
    const { ends, changes, bytes } = kept.squash;
    const to = ends[part];
    if (to === undefined) throw new TidemarkError('request_invalid', { detail: `there is no page ${part}` });
    const from = part === 0 ? 0 : (ends[part - 1] ?? 0);
    return { read: () => readRange(this.#path(name), from, to), changes, bytes };
  }

  /** Whether squashed pages from this start were refused: it is not to be built for each target anew. */
  refused({ epoch, set, start }: Pick<CompactionRange, 'epoch' | 'set' | 'start'>): boolean {
    const begins = `${epoch}-${set}-${start}-`;
    for (const [name, { squash }] of this.#kept) if (squash === null && name.startsWith(begins)) return true;
    return false;
  }

  async close(): Promise<void> {
    await this.#thread.end();
  }

  #build(name: string, range: CompactionRange): void {
    this.#building = name;
    const file = path.join(this.#folder, 'building');
    rmSync(file, { force: true });
    const source: CompactionSource = { ...range, file: this.#file, feed: this.#feed, filters: this.#filters };
    this.#thread
      .run({ source, file })
      .then((squash) => this.#admit(name, file, { squash }))
      .catch((error: unknown) => {
        this.#faults.set(name, this.#now());
        this.#failed(asTidemarkError(error));
      })
      .finally(() => {
        rmSync(file, { force: true });
        this.#building = null;
      });
  }

  #admit(name: string, built: string, kept: Kept): void {
    if (kept.squash) renameSync(built, this.#path(name));
    writeFileSync(`${this.#path(name)}.json.part`, JSON.stringify(kept));
    renameSync(`${this.#path(name)}.json.part`, `${this.#path(name)}.json`);
    this.#kept.set(name, kept);
    this.#faults.clear();
    this.#dropOldest();
  }

  #use(name: string, kept: Kept): void {
    if ([...this.#kept.keys()].at(-1) === name) return;
    this.#kept.delete(name);
    this.#kept.set(name, kept);
    // A restart knows by this which ones were used last.
    const now = new Date(this.#now());
    utimesSync(`${this.#path(name)}.json`, now, now);
  }

  #dropOldest(): void {
    let bytes = [...this.#kept.values()].reduce((sum, { squash }) => sum + (squash?.bytes ?? 0), 0);
    for (const [name, { squash }] of this.#kept) {
      if (this.#kept.size <= 1 || (this.#kept.size <= KEPT && bytes <= KEPT_BYTES)) return;
      bytes -= squash?.bytes ?? 0;
      this.#kept.delete(name);
      for (const suffix of ['.json', '']) rmSync(this.#path(name) + suffix, { force: true });
    }
  }

  /** Takes what an earlier process left; what it did not finish goes. */
  #readFolder(): void {
    const files = readdirSync(this.#folder);
    const named = files.filter((file) => file.endsWith('.json')).map((file) => file.slice(0, -5));
    const usedAt = new Map(named.map((name) => [name, statSync(`${this.#path(name)}.json`).mtimeMs]));
    for (const name of named.sort((a, b) => (usedAt.get(a) ?? 0) - (usedAt.get(b) ?? 0))) {
      const kept = Kept.parse(JSON.parse(readFileSync(`${this.#path(name)}.json`, 'utf8')));
      if (name.endsWith(`-${FORM}`) && (kept.squash === null || existsSync(this.#path(name))))
        this.#kept.set(name, kept);
    }
    for (const file of files)
      if (!this.#kept.has(file.replace(/\.json$/, ''))) rmSync(path.join(this.#folder, file), { force: true });
  }

  #path(name: string): string {
    return path.join(this.#folder, name);
  }
}

const nameOf = ({ epoch, set, start, target }: CompactionRange) => `${epoch}-${set}-${start}-${target}-${FORM}`;

function readRange(file: string, from: number, to: number): Buffer {
  const bytes = Buffer.alloc(to - from);
  const handle = openSync(file, 'r');
  try {
    if (readSync(handle, bytes, 0, bytes.length, from) !== bytes.length)
      throw new TidemarkError('internal', { detail: `${file} is cut short` });
    return bytes;
  } finally {
    closeSync(handle);
  }
}
