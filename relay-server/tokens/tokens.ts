import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { visible } from '@tidemark/command-line/visible';
import { asTidemarkError, ERRORS, TidemarkError } from '@tidemark/protocol/errors';
import { exists, query, row, TEXT, value } from '@tidemark/table-store/query';
import { openWriter, prepared, transaction, type Writer } from '@tidemark/table-store/sqlite';
import { z } from 'zod';
import type { Config } from '../config/relay-config.ts';
import { StoredToken, TokenFile } from './token-file.ts';

/**
 * Manages the relay's tokens. A token consists of 256 random bits, so a plain SHA-256 protects it and no slow hash is
 * needed. The tokens are in a file in the folder of relay.yaml. The times at which they were last used are in
 * `relay.sqlite` in the data folder. Token commands may change the file while the relay runs; the relay reads the
 * change at the next request.
 */

/** The holder of a token. */
export const Bearer = StoredToken.omit({ sha256: true }).extend({
  /** When the token was last used, accurate to a few minutes, in ISO 8601. Null if never. */
  seenAt: z.string().nullable(),
});
export type Bearer = z.infer<typeof Bearer>;

type Log = (event: string, fields: Record<string, unknown>) => void;

/** How often the relay reads a file again that it cannot use, in ms. */
const RETRY_MS = 1_000;

export class Tokens {
  readonly #file: TokenFile;
  readonly #db: Writer;
  /** Holders by SHA-256, from version {@link #version} of the file. */
  readonly #known = new Map<string, Bearer>();
  #version: string | null = null;
  #fault: string | null = null;
  #readAtMs = 0;
  readonly #log: Log;
  /** By SHA-256, the times in ms that are not written yet. */
  readonly #seenAtMs = new Map<string, number>();

  /** Reads the tokens. Throws db_*, or config_invalid if the file is invalid. */
  constructor({ tokens, data }: Pick<Config, 'tokens' | 'data'>, log: Log = () => undefined) {
    this.#log = log;
    this.#file = new TokenFile(tokens);
    mkdirSync(data, { recursive: true, mode: 0o700 });
    this.#db = openWriter(path.join(data, 'relay.sqlite'), { synchronous: 'full' });
    this.#db.exec('CREATE TABLE IF NOT EXISTS seen (sha256 TEXT PRIMARY KEY, at TEXT NOT NULL)');
    moveOldTokens(this.#db, this.#file);
  }

  /** Creates a token and returns it. It cannot be shown again. Throws usage if the name is taken. */
  add(bearer: Pick<Bearer, 'name' | 'role' | 'feed' | 'attributes'>, now: Date): string {
    const token = `tm_${randomBytes(32).toString('base64url')}`;
    return this.#file.change((tokens) => {
      if (tokens.some(isOf(bearer.name, bearer.feed)))
        throw new TidemarkError('usage', {
          detail: `--name: ${bearer.name} has a token for ${bearer.feed}; revoke it first`,
        });
      const { name, feed, role, attributes } = bearer;
      const stored = { name, feed, role, attributes, createdAt: now.toISOString(), sha256: hashOf(token) };
      return { tokens: [...tokens, stored], result: token };
    });
  }

  /**
   * Changes some attributes of a holder and keeps its token. Returns the new state, or null if there is no holder with
   * this name. Throws usage if an attribute to unset does not exist, and what `check` throws for the new attributes.
   */
  set(
    name: string,
    feed: string,
    change: { set: Bearer['attributes']; unset?: string[] },
    check: (attributes: Bearer['attributes']) => void = () => undefined,
  ): Pick<Bearer, 'role' | 'attributes'> | null {
    return this.#file.change((tokens) => {
      const at = tokens.findIndex(isOf(name, feed));
      const found = tokens[at];
      if (!found) return { tokens, result: null };
      const next = { ...found, attributes: changedAttributes(found, change) };
      check(next.attributes);
      return { tokens: tokens.with(at, next), result: next };
    });
  }

  /** Removes the tokens with this name, in one feed or in all. Returns their number. */
  revoke(name: string, feed?: string): number {
    return this.#file.change((tokens) => {
      const left = tokens.filter((token) => !isOf(name, feed ?? token.feed)(token));
      return { tokens: left, result: tokens.length - left.length };
    });
  }

  list(): Bearer[] {
    return this.#bearers().map(({ bearer }) => bearer);
  }

  /** The mistake in the token file, with its line and the remedy. Null while the file is valid. */
  get fault(): string | null {
    return this.#fault;
  }

  /**
   * Returns the holder of a token, or null if the token is invalid. Reads the file again if another process has changed
   * it. While the file cannot be used, the tokens of its last valid state stay in use, and every other token is answered
   * with relay_failed, because the relay cannot know whether it is valid.
   */
  find(token: string, nowMs: number): Bearer | null {
    this.#refresh(nowMs);
    const hash = hashOf(token);
    const bearer = this.#known.get(hash) ?? null;
    if (bearer) this.#seenAtMs.set(hash, nowMs);
    else if (this.#fault !== null)
      throw new TidemarkError('relay_failed', { status: ERRORS.relay_failed.status }, new Error(this.#fault));
    return bearer;
  }

  #refresh(nowMs: number): void {
    const version = this.#file.version();
    if (version === this.#version && (this.#fault === null || Math.abs(nowMs - this.#readAtMs) < RETRY_MS)) return;
    this.#readAtMs = nowMs;
    this.#version = version;
    try {
      const bearers = this.#bearers();
      this.#known.clear();
      for (const { sha256, bearer } of bearers) this.#known.set(sha256, bearer);
      if (this.#fault !== null) this.#log('tokens-read-again', { tokens: bearers.length });
      this.#fault = null;
    } catch (error) {
      const { params, message } = asTidemarkError(error);
      const fault = String(params.detail ?? message);
      if (fault !== this.#fault) this.#log('tokens-unusable', { detail: fault, tokensInUse: this.#known.size });
      this.#fault = fault;
    }
  }

  /**
   * Writes when tokens were last used. Runs outside of requests, so that no answer waits for it. Throws disk_full,
   * db_*.
   */
  writeSeen(): void {
    transaction(this.#db, () => {
      const write = prepared(this.#db, 'INSERT OR REPLACE INTO seen (sha256, at) VALUES (?, ?)');
      for (const [hash, at] of this.#seenAtMs) write.run(hash, new Date(at).toISOString());
    });
    this.#seenAtMs.clear();
  }

  close(): void {
    this.#db.close();
  }

  #bearers(): { sha256: string; bearer: Bearer }[] {
    const seenAt = query(this.#db, 'SELECT at FROM seen WHERE sha256 = ?', value(TEXT));
    return this.#file
      .read()
      .map(({ sha256, ...rest }) => ({
        sha256,
        bearer: { ...rest, seenAt: seenAt.get(sha256) ?? null },
      }))
      .sort(({ bearer: a }, { bearer: b }) => (a.feed === b.feed ? order(a.name, b.name) : order(a.feed, b.feed)));
  }
}

const OLD_TOKEN = row({ name: TEXT, feed: TEXT, role: TEXT, attributes: TEXT, createdAt: TEXT, sha256: TEXT });

const order = (a: string, b: string) => (a < b ? -1 : 1);
const isOf = (name: string, feed: string) => (token: { name: string; feed: string }) =>
  token.name === name && token.feed === feed;

function changedAttributes(
  { name, attributes }: StoredToken,
  { set, unset = [] }: { set: Bearer['attributes']; unset?: string[] },
): Bearer['attributes'] {
  for (const attribute of unset)
    if (!Object.hasOwn(attributes, attribute))
      throw new TidemarkError('usage', {
        detail: `--unset: ${visible(name)} has no attribute ${visible(attribute)} (it has: ${Object.keys(attributes).join(', ') || 'none'})`,
      });
  return Object.fromEntries(Object.entries({ ...attributes, ...set }).filter(([key]) => !unset.includes(key)));
}

/**
 * Moves the tokens of an older relay from its database to the file. Does not replace a token in the file that has the
 * same name.
 */
function moveOldTokens(db: Writer, file: TokenFile): void {
  if (!exists(db, "SELECT 1 FROM sqlite_schema WHERE name = 'token'")) return;
  const rows = query(
    db,
    'SELECT name, feed, role, attributes, created_at AS createdAt, hash AS sha256 FROM token',
    OLD_TOKEN,
  ).all();
  const old = rows.map((old) => StoredToken.parse({ ...old, attributes: JSON.parse(old.attributes) }));
  file.change((tokens) => {
    const missing = old.filter(({ name, feed }) => !tokens.some(isOf(name, feed)));
    return { tokens: [...tokens, ...missing], result: undefined };
  });
  db.exec('DROP TABLE token');
}

function hashOf(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}
