import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { TidemarkError } from '@tidemark/protocol/errors';
import { openWriter, prepared, transaction, type Writer } from '@tidemark/table-store/sqlite';
import { z } from 'zod';
import type { Config } from '../config/relay-config.ts';
import { StoredToken, TokenFile } from './token-file.ts';

/** Who a token is for. */
export const Bearer = StoredToken.omit({ sha256: true }).extend({
  /** When it was last used, to some minutes; null: never. */
  seenAt: z.string().nullable(),
});
export type Bearer = z.infer<typeof Bearer>;

/** The relay's tokens. Only their SHA-256 is kept: 256 random bits need no slow hash. When each was seen is in `relay.sqlite` among the data. */
export class Tokens {
  readonly #file: TokenFile;
  readonly #db: Writer;
  readonly #known = new Map<string, Bearer>();
  readonly #seen = new Map<string, number>();
  #version: string | null = null;

  /** Throws config_invalid about the file, db_*. */
  constructor({ tokens, data }: Pick<Config, 'tokens' | 'data'>) {
    this.#file = new TokenFile(tokens);
    mkdirSync(data, { recursive: true });
    this.#db = openWriter(path.join(data, 'relay.sqlite'), { synchronous: 'full' });
    this.#db.exec('CREATE TABLE IF NOT EXISTS seen (sha256 TEXT PRIMARY KEY, at TEXT NOT NULL)');
    takeOver(this.#db, this.#file);
  }

  /** Makes a token and returns it, the only time that it can be seen. Throws usage when the name is taken. */
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
   * Changes attributes of the holder of a name, and keeps its others and its token. Returns what it has now; null: nobody
   * has this name. Throws usage when it has none that is to be unset.
   */
  set(
    name: string,
    feed: string,
    change: { set: Bearer['attributes']; unset?: string[] },
  ): Pick<Bearer, 'role' | 'attributes'> | null {
    return this.#file.change((tokens) => {
      const at = tokens.findIndex(isOf(name, feed));
      const found = tokens[at];
      if (!found) return { tokens, result: null };
      const next = { ...found, attributes: changed(found, change) };
      return { tokens: tokens.with(at, next), result: next };
    });
  }

  /** Ends the tokens of a name; says how many. */
  revoke(name: string, feed?: string): number {
    return this.#file.change((tokens) => {
      const left = tokens.filter((each) => !isOf(name, feed ?? each.feed)(each));
      return { tokens: left, result: tokens.length - left.length };
    });
  }

  list(): Bearer[] {
    return this.#bearers().map(({ bearer }) => bearer);
  }

  /** Who sent this token; null when nobody may. Notices within one call what another process added or revoked. */
  find(token: string, nowMs: number): Bearer | null {
    const version = this.#file.version();
    if (version !== this.#version) {
      this.#known.clear();
      for (const { sha256, bearer } of this.#bearers()) this.#known.set(sha256, bearer);
      this.#version = version;
    }
    const hash = hashOf(token);
    const bearer = this.#known.get(hash) ?? null;
    if (bearer) this.#seen.set(hash, nowMs);
    return bearer;
  }

  /** Writes down who was seen since the last time: now and then, for no answer waits for it. Throws disk_full, db_*. */
  writeSeen(): void {
    transaction(this.#db, () => {
      const write = prepared(this.#db, 'INSERT OR REPLACE INTO seen (sha256, at) VALUES (?, ?)');
      for (const [hash, at] of this.#seen) write.run(hash, new Date(at).toISOString());
    });
    this.#seen.clear();
  }

  close(): void {
    this.#db.close();
  }

  #bearers(): { sha256: string; bearer: Bearer }[] {
    const seenAt = prepared(this.#db, 'SELECT at FROM seen WHERE sha256 = ?').pluck();
    return this.#file
      .read()
      .map(({ sha256, ...rest }) => ({
        sha256,
        bearer: { ...rest, seenAt: (seenAt.get(sha256) as string | undefined) ?? null },
      }))
      .sort(({ bearer: a }, { bearer: b }) => (a.feed === b.feed ? order(a.name, b.name) : order(a.feed, b.feed)));
  }
}

const order = (a: string, b: string) => (a < b ? -1 : 1);
const isOf = (name: string, feed: string) => (each: { name: string; feed: string }) =>
  each.name === name && each.feed === feed;

function changed(
  { name, attributes }: StoredToken,
  { set, unset = [] }: { set: Bearer['attributes']; unset?: string[] },
): Bearer['attributes'] {
  for (const each of unset)
    if (!Object.hasOwn(attributes, each))
      throw new TidemarkError('usage', {
        detail: `--unset: ${name} has no attribute ${each} (it has: ${Object.keys(attributes).join(', ') || 'none'})`,
      });
  return Object.fromEntries(Object.entries({ ...attributes, ...set }).filter(([key]) => !unset.includes(key)));
}

/** Relays kept their tokens among the data before. */
function takeOver(db: Writer, file: TokenFile): void {
  if (!db.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'token'").get()) return;
  const rows = db
    .prepare('SELECT name, feed, role, attributes, created_at AS createdAt, hash AS sha256 FROM token')
    .all() as { attributes: string }[];
  const old = rows.map((row) => StoredToken.parse({ ...row, attributes: JSON.parse(row.attributes) }));
  file.change((tokens) => {
    const missing = old.filter(({ name, feed }) => !tokens.some(isOf(name, feed)));
    return { tokens: [...tokens, ...missing], result: undefined };
  });
  db.exec('DROP TABLE token');
}

function hashOf(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}
