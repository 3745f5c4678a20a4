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
import { readYaml } from '../config/config-yaml.ts';

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

/** Largest token file, in bytes: about 50,000 tokens. The relay reads the file on its event loop. */
const LARGEST_BYTES = 16e6;
/** Largest text, in characters, in which the line of an invalid field is looked up. */
const LARGEST_LOOKUP = 256 * 1024;

/** Age in ms at which a `.new` file counts as left by a killed command. */
const STALE_MS = 10_000;
/** How often a command checks whether another one has finished, in ms. */
const RETRY_MS = 20;

export class TokenFile {
  readonly file: string;

  constructor(file: string) {
    this.file = file;
  }

  /**
   * Returns a text that changes with the content and the permissions, or null if there is no file. Returns the error
   * code of the system if the file cannot be inspected.
   */
  version(): string | null {
    try {
      const stat = statSync(this.file, { throwIfNoEntry: false });
      return stat ? `${stat.ino} ${stat.mtimeMs} ${stat.ctimeMs} ${stat.size}` : null;
    } catch (error) {
      return (error as NodeJS.ErrnoException).code ?? String(error);
    }
  }

  /**
   * Reads the tokens. Throws config_invalid, with the line and the remedy, if the file cannot be read, is not valid, or
   * is larger than {@link LARGEST_BYTES}.
   */
  read(): StoredToken[] {
    const remedy = 'Correct it, or put it back from a backup';
    let text: string;
    try {
      const stat = statSync(this.file, { throwIfNoEntry: false });
      if (!stat) return [];
      if (stat.size > LARGEST_BYTES)
        throw new TidemarkError('config_invalid', {
          detail: `${this.file} cannot be read: it is larger than ${LARGEST_BYTES / 1e6} MB. ${remedy}`,
        });
      text = readFileSync(this.file, 'utf8');
    } catch (error) {
      throw error instanceof TidemarkError ? error : this.#unusable('cannot be read. Put it back from a backup', error);
    }
    const { value, mistake } = parsedTokens(text);
    if (value) return value;
    throw new TidemarkError('config_invalid', { detail: `${this.file} cannot be read: ${mistake}. ${remedy}` });
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

/** Parses the content. The mistake names the line, and repeats nothing of the content but names of fields. */
function parsedTokens(text: string): { value: StoredToken[]; mistake?: never } | { value?: never; mistake: string } {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    const at = Number(/position (\d+)/.exec((error as Error).message)?.[1] ?? text.length);
    return { mistake: `line ${text.slice(0, at).split('\n').length}: it is not valid JSON` };
  }
  const parsed = Content.safeParse(json);
  if (parsed.success) return { value: parsed.data.tokens };
  const [issue] = parsed.error.issues;
  const field = issue?.path ?? [];
  const line = text.length <= LARGEST_LOOKUP ? (readYaml(text, [])?.lineOf(field) ?? 1) : null;
  return {
    mistake: `${line === null ? '' : `line ${line}: `}${field.join('.') || 'the file'}: ${issue?.message ?? ''}`,
  };
}
