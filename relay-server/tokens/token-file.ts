import { closeSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, statSync, writeSync } from 'node:fs';
import { Role } from '@tidemark/protocol/api';
import { TidemarkError } from '@tidemark/protocol/errors';
import { z } from 'zod';

/** Whose a token is, and what of it is kept. */
export const StoredToken = z.strictObject({
  name: z.string(),
  feed: z.string(),
  role: Role,
  /** What `--set` gave: `{branch: '7'}`. */
  attributes: z.record(z.string(), z.string()),
  createdAt: z.string(),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});
export type StoredToken = z.infer<typeof StoredToken>;

const Content = z.strictObject({ tokens: z.array(StoredToken) });

/** One that was being written for this long was left by a command that was killed, ms. */
const STALE_MS = 10_000;
const LOOK_AGAIN_MS = 20;

/**
 * The file beside relay.yaml that says who may ask: without secrets, and not among the data, so that it outlives the
 * data's disk. Written by the token commands, read by the relay.
 */
export class TokenFile {
  readonly file: string;

  constructor(file: string) {
    this.file = file;
  }

  /** Changes with the file's content; null: there is none. */
  version(): string | null {
    const stat = statSync(this.file, { throwIfNoEntry: false });
    return stat ? `${stat.ino} ${stat.mtimeMs} ${stat.size}` : null;
  }

  /** Throws config_invalid when it cannot be read, or another program spoilt it. */
  read(): StoredToken[] {
    if (this.version() === null) return [];
    try {
      return Content.parse(JSON.parse(readFileSync(this.file, 'utf8'))).tokens;
    } catch (error) {
      throw this.#unusable('cannot be read. Put it back from a backup', error);
    }
  }

  /** Replaces the content, as one step to whoever reads it; commands that do it at the same time wait for each other. Throws config_invalid. */
  change<T>(work: (tokens: StoredToken[]) => { tokens: StoredToken[]; result: T }): T {
    const next = `${this.file}.new`;
    const handle = this.#open(next);
    try {
      const { tokens, result } = work(this.read());
      try {
        writeSync(handle, `${JSON.stringify({ tokens }, null, 2)}\n`);
        fsyncSync(handle);
      } finally {
        closeSync(handle);
      }
      renameSync(next, this.file);
      return result;
    } catch (error) {
      rmSync(next, { force: true });
      throw error instanceof TidemarkError ? error : this.#unusable('cannot be written', error);
    }
  }

  /** Makes the file that is to take its place, which one command at a time can. */
  #open(next: string): number {
    for (;;) {
      try {
        return openSync(next, 'wx');
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw this.#unusable('cannot be written', error);
        const left = statSync(next, { throwIfNoEntry: false });
        if (left && Date.now() - left.mtimeMs > STALE_MS) rmSync(next, { force: true });
        else Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, LOOK_AGAIN_MS);
      }
    }
  }

  #unusable(what: string, error: unknown): TidemarkError {
    const { code } = error as NodeJS.ErrnoException;
    return new TidemarkError('config_invalid', { detail: `${this.file} ${what}${code ? ` (${code})` : ''}` }, error);
  }
}
