import { z } from 'zod';
import { Cursor, Epoch, Seq } from './cursor.ts';
import { ScopeSet } from './page.ts';
import { SourcePosition } from './position.ts';
import { TableId, TableSchema } from './schema.ts';
import { type TimeSchema, TimeText } from './time.ts';

/** Name of a feed, also in addresses and file names. */
export const FeedName = z
  .string()
  .regex(/^[a-z][a-z0-9_-]{0,39}$/, 'a feed name has 1 to 40 characters a-z 0-9 _ - and begins with a letter');

export const Role = z.enum(['feed', 'terminal', 'admin']);
export type Role = z.infer<typeof Role>;

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
  /** On a squashed page: changes and bytes (before compression) of all its pages, `5000 812345`. */
  squashed: 'tidemark-squashed',
  /** Id of a request, in answers and logs. */
  request: 'x-request-id',
} as const;

/** POST session: a feed begins. Its answer ends any earlier session of the feed, and drops what that had not committed. */
export const SessionRequest = z.object({
  protocol: z.int(),
  /** Which master this is, so that another one is noticed: for Postgres its system identifier and database. */
  source: z.object({ kind: z.enum(['postgres', 'mariadb']), id: z.string().min(1) }),
  /** A base comes: the relay's position means nothing any more. `setBack`: the relay lost what it had told terminals before, so its numbers begin anew. */
  base: z.object({ setBack: z.boolean() }).optional(),
  version: z.string(),
});
export type SessionRequest = z.infer<typeof SessionRequest>;

export const SessionAnswer = z.object({
  session: z.string(),
  epoch: Epoch,
  head: Seq,
  /** Position of the last transaction on the relay's disk; null: the relay has nothing and needs a base. */
  position: SourcePosition.nullable(),
  /** Tables to publish by name as relay.yaml lists them, and where it does (`relay.yaml line 9`); null: all. */
  publish: z.array(z.object({ name: z.string(), at: z.string() })).nullable(),
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
  /** Set of scopes that the replica holds. */
  scopes: ScopeSet.optional(),
  /** Long poll: answer when the head is past `seq`, or after this many seconds. */
  wait: z.coerce.number().int().min(0).max(60).default(0),
});
export type StatusQuery = z.infer<typeof StatusQuery>;

const behindOf = <T extends TimeSchema>(time: T) =>
  z.object({
    transactions: z.int().nonnegative(),
    changes: z.int().nonnegative(),
    /** Size as pages, before compression. */
    bytes: z.int().nonnegative(),
    /** When the oldest transaction that it lacks was committed at the master. */
    oldestAt: z.nullable(time),
    /** Its seq; left out when nothing is lacking. What lies before it is for others. */
    oldest: Seq.optional(),
  });

/** What a terminal lacks, in its scopes. */
export const Behind = behindOf(TimeText);
export type Behind = z.infer<typeof Behind>;
/** {@link Behind} as the relay sends it. */
export type BehindBody = z.input<typeof Behind>;

/** Why a terminal needs a snapshot. */
export const SnapshotReason = z.enum([
  'first',
  'cheaper',
  'behind_horizon',
  'epoch_changed',
  'cursor_ahead',
  'scopes_changed',
]);
export type SnapshotReason = z.infer<typeof SnapshotReason>;

/** A {@link RelayStatus} with times in one form: a terminal keeps it with `Time`. */
export const relayStatusOf = <T extends TimeSchema>(time: T) =>
  z.object({
    protocol: z.int(),
    relay: z.object({ name: z.string(), version: z.string() }),
    /** The relay's clock. */
    now: time,
    /** Newest transaction; null while the relay has no base. */
    head: z.object({ epoch: Epoch, seq: Seq, committedAt: time }).nullable(),
    /** Oldest seq from which a pull can start. */
    horizon: Seq,
    /** When the relay, at its present rate, will no longer keep all that this terminal lacks; null: nothing is lacking, or it is not known. */
    keepsUntil: z.nullable(time),
    /** Null when the terminal gave no cursor or one that a pull cannot start from. */
    behind: behindOf(time).nullable(),
    /** What brings this terminal to the head. Its bytes are about what will come over the network. */
    plan: z.discriminatedUnion('by', [
      z.object({ by: z.literal('none') }),
      z.object({
        by: z.literal('pages'),
        scopes: ScopeSet,
        bytes: z.int().nonnegative(),
        /** Rows changed several times can come once: ask the squashed pages first. */
        squashed: z.boolean(),
      }),
      /** The data here is of another set of scopes: what differs is fetched, or a copy where that is cheaper. */
      z.object({
        by: z.literal('difference'),
        scopes: ScopeSet,
        rows: z.int().nonnegative(),
        tables: z.int().nonnegative(),
        bytes: z.int().nonnegative(),
      }),
      z.object({
        by: z.literal('snapshot'),
        scopes: ScopeSet,
        reason: SnapshotReason,
        /** Rows, tables and about how many bytes come over the network; exact when the file is ready. */
        rows: z.int().nonnegative(),
        tables: z.int().nonnegative(),
        bytes: z.int().nonnegative(),
      }),
    ]),
    feed: z.object({
      connected: z.boolean(),
      /** When the relay last heard from the feed, by the relay's clock. */
      heardAt: z.nullable(time),
      /** How far the feed was behind the master then; null when not known. */
      lagMs: z.number().nonnegative().nullable(),
      /** When the feed last read all tables anew, and why: `the slot is gone`. */
      base: z.object({ at: time, why: z.string() }).optional(),
    }),
  });

/** GET status. Never cached. At most 1 kB. */
export const RelayStatus = relayStatusOf(TimeText);
export type RelayStatus = z.infer<typeof RelayStatus>;
/** {@link RelayStatus} as the relay sends it. */
export type RelayStatusBody = z.input<typeof RelayStatus>;

export const TransactionsQuery = z.object({
  epoch: Epoch,
  after: z.coerce.number().pipe(Seq),
  limit: z.coerce.number().int().min(1).max(500).default(100),
});

/** A {@link TransactionList} with times in one form. */
export const transactionListOf = <T extends TimeSchema>(time: T) =>
  z.object({
    transactions: z.array(
      z.object({
        seq: Seq,
        committedAt: time,
        changes: z.int().nonnegative(),
        bytes: z.int().nonnegative(),
        tables: z.array(z.string()),
      }),
    ),
    head: Seq,
  });

/** GET transactions: those after a seq, oldest first, to choose one to sync up to. */
export const TransactionList = transactionListOf(TimeText);
export type TransactionList = z.infer<typeof TransactionList>;
/** {@link TransactionList} as the relay sends it. */
export type TransactionListBody = z.input<typeof TransactionList>;

export const TablesQuery = z.object({ epoch: Epoch.optional(), seq: z.coerce.number().pipe(Seq).optional() });

/** GET tables: the tables of the feed, and what of each the terminal lacks. */
export const TableList = z.object({
  tables: z.array(
    z.object({
      name: z.string(),
      rows: z.int().nonnegative(),
      /** Changes that the terminal lacks; null without a cursor. */
      waiting: z.int().nonnegative().nullable(),
      lastChangeAt: TimeText.nullable(),
    }),
  ),
});
export type TableList = z.infer<typeof TableList>;
/** {@link TableList} as the relay sends it. */
export type TableListBody = z.input<typeof TableList>;

/** A terminal that has data wants a snapshot that is not from before its seq. */
export const SnapshotQuery = z.object({ epoch: Epoch.optional(), from: z.coerce.number().pipe(Seq).optional() });

/** GET snapshot: the file that is ready, or 503 `snapshot_building` with Retry-After. */
export const SnapshotManifest = z.object({
  feed: z.string(),
  cursor: Cursor,
  /** Commit time of the cursor's transaction, as the master wrote it: it is stored, so it stays text with its microseconds. */
  committedAt: z.iso.datetime(),
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
  tables: z.array(z.object({ id: TableId, name: z.string(), rows: z.int().nonnegative(), schema: TableSchema })),
});
export type SnapshotManifest = z.infer<typeof SnapshotManifest>;

const KeyValue = z.union([z.string(), z.number(), z.null()]);

/** Rows of a table whose keys are greater than `after` and not greater than `upto`, in key order; null: no such end. */
export const KeyRange = z.object({ after: z.array(KeyValue).nullable(), upto: z.array(KeyValue).nullable() });
export type KeyRange = z.infer<typeof KeyRange>;

/** POST digests: checksums of ranges of the rows of a snapshot, each range cut into at most `parts` parts of about as many rows. */
export const DigestRequest = z.object({
  asks: z
    .array(z.object({ table: TableId, range: KeyRange, parts: z.int().min(1).max(256) }))
    .min(1)
    .max(256),
});
export type DigestRequest = z.infer<typeof DigestRequest>;

/** Checksum of the rows up to a key from where the part before ended: see docs/protocol.md. */
export const DigestPart = z.object({
  upto: z.array(KeyValue).nullable(),
  rows: z.int().nonnegative(),
  digest: z.string().regex(/^[0-9a-f]{32}$/),
});
export type DigestPart = z.infer<typeof DigestPart>;

/** Answer to digests: of each ask its parts, in key order; together they are the range. */
export const DigestAnswer = z.object({ answers: z.array(z.array(DigestPart)) });
export type DigestAnswer = z.infer<typeof DigestAnswer>;

/**
 * POST rows: the rows of ranges, as many as fit one answer. The answer is text as a page is: one line
 * `["i", table, rows]` or several for each range in the order asked, and a {@link RowsTrailer}.
 */
export const RowsRequest = z.object({
  asks: z
    .array(z.object({ table: TableId, range: KeyRange }))
    .min(1)
    .max(256),
});
export type RowsRequest = z.infer<typeof RowsRequest>;

/** Last line of an answer to rows; without it the answer is void. */
export const RowsTrailer = z.object({
  /** How many asks are answered whole, and after which key the next one goes on (null: from its begin). */
  done: z.int().nonnegative(),
  after: z.array(KeyValue).nullable(),
  /** SHA-256, in hex, of all bytes before this line. */
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});
export type RowsTrailer = z.infer<typeof RowsTrailer>;
