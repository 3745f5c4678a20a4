import { z } from 'zod';
import { Cursor, Epoch, Seq } from './cursor.ts';
import { SourcePosition } from './lines.ts';
import { ScopeSet } from './page.ts';
import { TableId, TableSchema } from './schema.ts';

/** Times are ISO 8601 in UTC. */
const Time = z.iso.datetime();

/** Name of a feed, also in addresses and file names. */
export const FeedName = z
  .string()
  .regex(/^[a-z][a-z0-9_-]{0,39}$/, 'a feed name has 1 to 40 characters a-z 0-9 _ - and begins with a letter');

export const Role = z.enum(['feed', 'terminal', 'admin']);
export type Role = z.infer<typeof Role>;

/** Addresses of the relay. `start` as formatStart writes it. */
export const PATHS = {
  session: (feed: string) => `/v1/feeds/${feed}/session`,
  batches: (feed: string) => `/v1/feeds/${feed}/batches`,
  status: (feed: string) => `/v1/feeds/${feed}/status`,
  page: (feed: string, epoch: string, scopes: string, start: string, target: number) =>
    `/v1/feeds/${feed}/pages/${epoch}/${scopes}/${start}/${target}`,
  transactions: (feed: string) => `/v1/feeds/${feed}/transactions`,
  tables: (feed: string) => `/v1/feeds/${feed}/tables`,
  snapshot: (feed: string) => `/v1/feeds/${feed}/snapshot`,
  snapshotFile: (feed: string, epoch: string, scopes: string, seq: number) =>
    `/v1/feeds/${feed}/snapshots/${epoch}/${scopes}/${seq}`,
} as const;

/** Request headers. */
export const HEADERS = {
  /** Protocol version that the sender speaks; the relay answers `protocol_unsupported` to one it does not. */
  protocol: 'tidemark-protocol',
  /** Session of a feed, on batches. */
  session: 'tidemark-session',
  /** Number of a batch in its session, from 1. The same number again is answered like the first time. */
  batch: 'tidemark-batch',
  /** Version of the terminal, for the fleet list. */
  terminal: 'tidemark-terminal',
  /** Id of a request, in answers and logs. */
  request: 'x-request-id',
} as const;

/** POST session: a feed begins. Its answer ends any earlier session of the feed, and drops what that had not committed. */
export const SessionRequest = z.object({
  protocol: z.int(),
  /** Which master this is, so that another one is noticed: for Postgres its system identifier and database. */
  source: z.object({ kind: z.enum(['postgres', 'mariadb']), id: z.string().min(1) }),
  version: z.string(),
});
export type SessionRequest = z.infer<typeof SessionRequest>;

export const SessionAnswer = z.object({
  session: z.string(),
  epoch: Epoch,
  head: Seq,
  /** Position of the last transaction on the relay's disk; null: the relay has nothing and needs a base. */
  position: SourcePosition.nullable(),
  /** Tables to publish by name as relay.yaml lists them; null: all that have a key. */
  publish: z.array(z.string()).nullable(),
  /** Current tables of the mirror. A schema that is the same keeps its id. */
  tables: z.array(z.object({ id: TableId, schema: TableSchema })),
  /** The next free table id. */
  nextTableId: TableId,
});
export type SessionAnswer = z.infer<typeof SessionAnswer>;

/** Answer to a batch, when all transactions that it ends are on disk (fsync). */
export const BatchAnswer = z.object({
  head: Seq,
  /** Position of the last transaction on disk. The feed may confirm it to the master. */
  position: SourcePosition.nullable(),
});
export type BatchAnswer = z.infer<typeof BatchAnswer>;

export const StatusQuery = z.object({
  epoch: Epoch.optional(),
  seq: z.coerce.number().pipe(Seq).optional(),
  /** Long poll: answer when the head is past `seq`, or after this many seconds. */
  wait: z.coerce.number().int().min(0).max(60).default(0),
});
export type StatusQuery = z.infer<typeof StatusQuery>;

/** What a terminal lacks, in its scopes. */
export const Behind = z.object({
  transactions: z.int().nonnegative(),
  changes: z.int().nonnegative(),
  /** Size as pages, before compression. */
  bytes: z.int().nonnegative(),
  /** When the oldest transaction that it lacks was committed at the master. */
  oldestAt: Time.nullable(),
});
export type Behind = z.infer<typeof Behind>;

/** Why a terminal needs a snapshot. */
export const SnapshotReason = z.enum(['first', 'cheaper', 'behind_horizon', 'epoch_changed', 'cursor_ahead']);
export type SnapshotReason = z.infer<typeof SnapshotReason>;

/** GET status. Never cached. At most 1 kB. */
export const RelayStatus = z.object({
  protocol: z.int(),
  relay: z.object({ name: z.string(), version: z.string() }),
  /** The relay's clock. */
  now: Time,
  /** Newest transaction; null while the relay has no base. */
  head: z.object({ epoch: Epoch, seq: Seq, committedAt: Time }).nullable(),
  /** Oldest seq from which a pull can start. */
  horizon: Seq,
  /** How long increments are kept, ms: what was committed longer ago may be gone. */
  keepsMs: z.number().positive(),
  /** Null when the terminal gave no cursor or one that a pull cannot start from. */
  behind: Behind.nullable(),
  /** What brings this terminal to the head. */
  plan: z.discriminatedUnion('by', [
    z.object({ by: z.literal('none') }),
    z.object({ by: z.literal('pages'), scopes: ScopeSet }),
    z.object({
      by: z.literal('snapshot'),
      scopes: ScopeSet,
      reason: SnapshotReason,
      /** Rows, tables and about how many bytes it will be; exact when the file is ready. */
      rows: z.int().nonnegative(),
      tables: z.int().nonnegative(),
      bytes: z.int().nonnegative(),
    }),
  ]),
  feed: z.object({
    connected: z.boolean(),
    /** When the relay last heard from the feed, by the relay's clock. */
    heardAt: Time.nullable(),
    /** How far the feed was behind the master then; null when not known. */
    lagMs: z.number().nonnegative().nullable(),
  }),
});
export type RelayStatus = z.infer<typeof RelayStatus>;

export const TransactionsQuery = z.object({
  epoch: Epoch,
  after: z.coerce.number().pipe(Seq),
  limit: z.coerce.number().int().min(1).max(500).default(100),
});

/** GET transactions: those after a seq, oldest first, to choose one to sync up to. */
export const TransactionList = z.object({
  transactions: z.array(
    z.object({
      seq: Seq,
      committedAt: Time,
      changes: z.int().nonnegative(),
      bytes: z.int().nonnegative(),
      tables: z.array(z.string()),
    }),
  ),
  head: Seq,
});
export type TransactionList = z.infer<typeof TransactionList>;

export const TablesQuery = z.object({ epoch: Epoch.optional(), seq: z.coerce.number().pipe(Seq).optional() });

/** GET tables: the tables of the feed, and what of each the terminal lacks. */
export const TableList = z.object({
  tables: z.array(
    z.object({
      name: z.string(),
      rows: z.int().nonnegative(),
      /** Changes that the terminal lacks; null without a cursor. */
      waiting: z.int().nonnegative().nullable(),
      lastChangeAt: Time.nullable(),
    }),
  ),
});
export type TableList = z.infer<typeof TableList>;

/** A terminal that has data wants a snapshot that is not from before its seq. */
export const SnapshotQuery = z.object({ epoch: Epoch.optional(), from: z.coerce.number().pipe(Seq).optional() });

/** GET snapshot: the file that is ready, or 503 `snapshot_building` with Retry-After. */
export const SnapshotManifest = z.object({
  feed: z.string(),
  cursor: Cursor,
  committedAt: Time,
  scopes: ScopeSet,
  /** Size of the SQLite file, bytes. */
  bytes: z.int().positive(),
  /** SHA-256, in hex, of the SQLite file. */
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  /** The forms in which it can be downloaded (with Range): ask one with `?coding=`. sha256 and bytes are of the encoded file. */
  codings: z.array(
    z.object({ coding: z.enum(['identity', 'gzip', 'zstd']), bytes: z.int().positive(), sha256: z.string() }),
  ),
  rows: z.int().nonnegative(),
  tables: z.array(z.object({ name: z.string(), rows: z.int().nonnegative() })),
});
export type SnapshotManifest = z.infer<typeof SnapshotManifest>;
