import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { Role } from '@tidemark/protocol/api.ts';
import { TidemarkError } from '@tidemark/protocol/errors.ts';
import { openWriter, transaction, type Writer } from '@tidemark/replica/sqlite.ts';
import { z } from 'zod';

/** Who a token is for. */
export const Bearer = z.object({
  name: z.string(),
  role: Role,
  feed: z.string(),
  /** What `--set` gave: `{branch: '7'}`. */
  attributes: z.record(z.string(), z.string()),
  createdAt: z.string(),
  /** When it was last used, to some minutes; null: never. */
  seenAt: z.string().nullable(),
});
export type Bearer = z.infer<typeof Bearer>;

/** The relay's tokens, in `relay.sqlite`. Only their SHA-256 is kept: 256 random bits need no slow hash. */
export class Tokens {
  readonly #db: Writer;
  readonly #known = new Map<string, Bearer>();
  readonly #seen = new Map<string, number>();
  readonly #versionOf: () => unknown;
  #version: unknown;

  constructor(data: string) {
    mkdirSync(data, { recursive: true });
    this.#db = openWriter(path.join(data, 'relay.sqlite'), { synchronous: 'full' });
    this.#db.exec(`CREATE TABLE IF NOT EXISTS token (
      name TEXT NOT NULL, feed TEXT NOT NULL, hash TEXT NOT NULL UNIQUE, role TEXT NOT NULL,
      attributes TEXT NOT NULL, created_at TEXT NOT NULL, seen_at TEXT, PRIMARY KEY (feed, name))`);
    const version = this.#db.prepare('PRAGMA data_version').pluck();
    this.#versionOf = () => version.get();
  }

  /** Makes a token and returns it, the only time that it can be seen. Throws request_invalid when the name is taken. */
  add(bearer: Pick<Bearer, 'name' | 'role' | 'feed' | 'attributes'>, now: Date): string {
    const token = `tm_${randomBytes(32).toString('base64url')}`;
    const { changes } = this.#db
      .prepare('INSERT OR IGNORE INTO token (name, feed, hash, role, attributes, created_at) VALUES (?, ?, ?, ?, ?, ?)')
      .run(bearer.name, bearer.feed, hashOf(token), bearer.role, JSON.stringify(bearer.attributes), now.toISOString());
    if (changes === 0)
      throw new TidemarkError('usage', {
        detail: `--name: ${bearer.name} has a token for ${bearer.feed}; revoke it first`,
      });
    return token;
  }

  /** Gives the holder of a name other attributes; its token stays. Says how many were found. */
  set(name: string, feed: string, attributes: Bearer['attributes']): number {
    return this.#db
      .prepare('UPDATE token SET attributes = ? WHERE name = ? AND feed = ?')
      .run(JSON.stringify(attributes), name, feed).changes;
  }

  /** Ends the tokens of a name; says how many. */
  revoke(name: string, feed?: string): number {
    return this.#db
      .prepare('DELETE FROM token WHERE name = ? AND (? IS NULL OR feed = ?)')
      .run(name, feed ?? null, feed ?? null).changes;
  }

  list(): Bearer[] {
    return this.#rows().map(({ bearer }) => bearer);
  }

  /** Who sent this token; null when nobody may. Notices within one call what another process added or revoked. */
  find(token: string, nowMs: number): Bearer | null {
    // Changes when another connection has written: cheaper than reading the token each time.
    const version = this.#versionOf();
    if (version !== this.#version) {
      this.#known.clear();
      for (const { hash, bearer } of this.#rows()) this.#known.set(hash, bearer);
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
      const update = this.#db.prepare('UPDATE token SET seen_at = ? WHERE hash = ?');
      for (const [hash, at] of this.#seen) update.run(new Date(at).toISOString(), hash);
    });
    this.#seen.clear();
  }

  close(): void {
    this.#db.close();
  }

  #rows(): { hash: string; bearer: Bearer }[] {
    const rows = this.#db
      .prepare(
        'SELECT hash, name, feed, role, attributes, created_at AS createdAt, seen_at AS seenAt FROM token ORDER BY feed, name',
      )
      .all() as { hash: string; attributes: string }[];
    return rows.map(({ hash, attributes, ...row }) => ({
      hash,
      bearer: Bearer.parse({ ...row, attributes: JSON.parse(attributes) }),
    }));
  }
}

function hashOf(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}
