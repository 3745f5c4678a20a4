import {
  closeSync,
  fchownSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { Role } from '@tidemark/protocol/api';
import { TidemarkError } from '@tidemark/protocol/errors';
import { z } from 'zod';

/**
 * The token file, which lists the clients of the relay. It contains no secrets. It is in the folder of relay.yaml, so
 * that it survives the loss of the data disk. Token commands write it; the relay reads it.
 *
 * A change writes `<file>.new`, syncs it and renames it to the file, so that readers see either the old or the new
 * content. The `.new` file is also the lock between commands, because only one process can create it. See
 * docs/decisions/2026-11-24-keys-beside-the-config.md.
 */

/** A token's holder, and the token's SHA-256. */
export const StoredToken = z.strictObject({
  name: z.string(),
  feed: z.string(),
  role: Role,
  /** Attributes in the form of `--set`: `{branch: '7'}`. */
  attributes: z.record(z.string(), z.string()),
  createdAt: z.string(),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});
export type StoredToken = z.infer<typeof StoredToken>;

const Content = z.strictObject({ tokens: z.array(StoredToken) });

/** Age in ms at which a `.new` file counts as left by a killed command. */
const STALE_MS = 10_000;
/** How often a command checks whether another one has finished, in ms. */
const RETRY_MS = 20;

export class TokenFile {
  readonly file: string;

  constructor(file: string) {
    this.file = file;
  }

  /** Returns a text that changes with the content, or null if there is no file. */
  version(): string | null {
    const stat = statSync(this.file, { throwIfNoEntry: false });
    return stat ? `${stat.ino} ${stat.mtimeMs} ${stat.size}` : null;
  }

  /** Reads the tokens. Throws config_invalid if the file cannot be read or is invalid. */
  read(): StoredToken[] {
    if (this.version() === null) return [];
    try {
      return Content.parse(JSON.parse(readFileSync(this.file, 'utf8'))).tokens;
    } catch (error) {
      throw this.#unusable('cannot be read. Put it back from a backup', error);
    }
  }

  /**
   * Replaces the content with the tokens that `work` returns. Concurrent commands wait for each other. Throws
   * config_invalid.
   */
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

  /** Creates the `.new` file. Waits if another command has created it. */
  #open(next: string): number {
    for (;;) {
      try {
        const handle = openSync(next, 'wx', 0o600);
        keepOwner(handle, this.file);
        return handle;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw this.#unusable('cannot be written', error);
        const left = statSync(next, { throwIfNoEntry: false });
        if (left && Date.now() - left.mtimeMs > STALE_MS) rmSync(next, { force: true });
        else Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, RETRY_MS);
      }
    }
  }

  #unusable(what: string, error: unknown): TidemarkError {
    const { code } = error as NodeJS.ErrnoException;
    return new TidemarkError('config_invalid', { detail: `${this.file} ${what}${code ? ` (${code})` : ''}` }, error);
  }
}

/**
 * If root runs the command, the new file gets the owner of the old one, because the relay runs under that account and
 * must read the file.
 */
function keepOwner(handle: number, file: string): void {
  const old = process.getuid?.() === 0 ? statSync(file, { throwIfNoEntry: false }) : undefined;
  if (old) fchownSync(handle, old.uid, old.gid);
}
