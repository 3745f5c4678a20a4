import { z } from 'zod';
import { Cursor, Epoch, Seq } from './cursor.ts';
import { ScopeSet } from './page.ts';
import { SourcePosition } from './position.ts';
import { TableId, TableSchema } from './schema.ts';
import { type TimeSchema, TimeText } from './time.ts';
import { FeedFaultCode, SetAside } from './trouble.ts';

/**
 * The bodies, queries and headers of the relay's HTTP interface, each with the schema that parses it. Paths are in
 * paths.ts; the text bodies of pages and batches are in lines.ts and page.ts.
 */

/** Name of a feed. URLs and file names contain it. */
export const FeedName = z
  .string()
  .regex(/^[a-z][a-z0-9_-]{0,39}$/, 'a feed name has 1 to 40 characters a-z 0-9 _ - and begins with a letter');

/** Purpose of a token: sending a feed, pulling as a terminal, or administration. */
export const Role = z.enum(['feed', 'terminal', 'admin']);
export type Role = z.infer<typeof Role>;

/** Request headers. */
export const HEADERS = {
  /** Protocol version of the sender. The relay answers `protocol_unsupported` to a version that it does not speak. */
  protocol: 'tidemark-protocol',
  /** Session of the feed, sent with each batch. */
  session: 'tidemark-session',
  /** Number of a batch in its session, from 1. When a number is repeated, the relay repeats its first answer. */
  batch: 'tidemark-batch',
  /**
   * When the feed read the end of the master's log to which the newest current heartbeat of the batch refers: ms after
   * the feed received the relay's previous answer in this session, by the feed's clock. Negative: before that answer.
   */
  sampled: 'tidemark-sampled',
  /** Version of the terminal, shown in the fleet list. */
  terminal: 'tidemark-terminal',
  /**
   * Totals of all pages of a compacted range, sent with each page: changes, and bytes before compression
   * (`5000 812345`).
   */
  squashed: 'tidemark-squashed',
  /** Id of a request, in answers and logs. */
  request: 'x-request-id',
} as const;

/**
 * POST session: a feed starts to send. Opening a session ends the feed's earlier session and drops its uncommitted
 * lines.
 */
export const SessionRequest = z.object({
  /** Protocol version of the feed. */
  protocol: z.int(),
  /** Identifies the master, so that the relay notices another one. For Postgres: system identifier and database. */
  source: z.object({ kind: z.enum(['postgres', 'mariadb']), id: z.string().min(1) }),
  /**
   * A base copy follows, so the relay forgets its position. `setBack`: the relay lost transactions that terminals may
   * hold, so it begins a new epoch.
   */
  base: z.object({ setBack: z.boolean() }).optional(),
  /**
   * Fields of the answer that the feed obeys and that an older feed would ignore: `except`. A relay whose answer contains
   * another one refuses the session with `protocol_unsupported`.
   */
  obeys: z.array(z.string().max(40)).max(20).optional(),
  /** Version of the feed's program, for the relay's log. */
  version: z.string(),
});
export type SessionRequest = z.infer<typeof SessionRequest>;

/** Answer to a session: where the feed continues. */
export const SessionAnswer = z.object({
  /** Id of the session, for the header of its batches. */
  session: z.string(),
  /** Epoch of the relay's log. */
  epoch: Epoch,
  /** Newest seq in the log. */
  head: Seq,
  /** Position of the last transaction on the relay's disk. Null: the relay has no data and needs a base copy. */
  position: SourcePosition.nullable(),
  /** Commit time of the newest transaction, as the master wrote it. Absent without one. */
  committedAt: z.iso.datetime().optional(),
  /** Tables to publish, with their places in relay.yaml (`relay.yaml line 9`). Null: all tables. */
  publish: z.array(z.object({ name: z.string(), at: z.string() })).nullable(),
  /**
   * Tables to leave out when `publish` is null, with their places in relay.yaml. `*` in a name matches any text.
   * Absent: none.
   */
  except: z.array(z.object({ name: z.string(), at: z.string() })).optional(),
  /**
   * Tables that relay.yaml filters when `publish` is null, with their places. While one of them does not exist, the feed
   * publishes no further table, because that could be this table under another name, without its filter.
   */
  filtered: z.array(z.object({ name: z.string(), at: z.string() })).optional(),
  /** Current tables of the mirror. An unchanged schema keeps its id. */
  tables: z.array(z.object({ id: TableId, schema: TableSchema })),
  /** The next free table id. */
  nextTableId: TableId,
});
export type SessionAnswer = z.infer<typeof SessionAnswer>;

/** Answer to a batch, sent after every transaction that ends in it is on disk (fsync). */
export const BatchAnswer = z.object({
  /** Newest seq in the log. */
  head: Seq,
  /** Position of the last transaction on disk. The feed may confirm it to the master. */
  position: SourcePosition.nullable(),
});
export type BatchAnswer = z.infer<typeof BatchAnswer>;

/** Query of GET status. All values arrive as text. */
export const StatusQuery = z.object({
  /** The replica's cursor, as two fields. Absent when the replica has no data. */
  epoch: Epoch.optional(),
  seq: z.coerce.number().pipe(Seq).optional(),
  /** Set of scopes that the replica holds. */
  scopes: ScopeSet.optional(),
  /**
   * Long poll: the relay answers when the head is past `seq`, or after this many seconds. 0: the relay answers at once.
   */
  wait: z.coerce.number().int().min(0).max(60).default(0),
});
export type StatusQuery = z.infer<typeof StatusQuery>;

const behindOf = <T extends TimeSchema>(time: T) =>
  z.object({
    transactions: z.int().nonnegative(),
    /** Rows inserted, updated or deleted, and tables truncated. */
    changes: z.int().nonnegative(),
    /** Size as pages, in bytes before compression. */
    bytes: z.int().nonnegative(),
    /** Commit time of the oldest transaction in the backlog. */
    oldestAt: z.nullable(time),
    /**
     * Seq of the oldest transaction in the backlog. Absent without a backlog. Transactions between the cursor and this
     * one have no changes in the terminal's scopes.
     */
    oldest: Seq.optional(),
  });

/** A terminal's backlog, in its scopes. */
export const Behind = behindOf(TimeText);
export type Behind = z.infer<typeof Behind>;
/** {@link Behind} as the relay sends it. */
export type BehindBody = z.input<typeof Behind>;

/**
 * Why a terminal needs a snapshot. `first`: it has no data. `cheaper`: the snapshot is smaller than the backlog.
 * `behind_horizon`: the relay has dropped part of the backlog. `epoch_changed`: its cursor is of another numbering.
 * `cursor_ahead`: its cursor is past the head. `scopes_changed`: it holds another set of scopes.
 */
export const SnapshotReason = z.enum([
  'first',
  'cheaper',
  'behind_horizon',
  'epoch_changed',
  'cursor_ahead',
  'scopes_changed',
]);
export type SnapshotReason = z.infer<typeof SnapshotReason>;

/** Returns the schema of a {@link RelayStatus}. `time`: the schema of its times. A terminal keeps it with `Time`. */
export const relayStatusOf = <T extends TimeSchema>(time: T) =>
  z.object({
    /** Protocol version of the relay. */
    protocol: z.int(),
    /** Display name and program version of the relay. */
    relay: z.object({ name: z.string(), version: z.string() }),
    /** The relay's clock at the answer. */
    now: time,
    /** The newest transaction. Null while the relay has no base copy. */
    head: z.object({ epoch: Epoch, seq: Seq, committedAt: time }).nullable(),
    /** Oldest seq from which a pull can start. */
    horizon: Seq,
    /**
     * When the relay, at its present rate, will drop the first change of this terminal's backlog. Null: no backlog, or
     * unknown.
     */
    keepsUntil: z.nullable(time),
    /** The terminal's backlog. Null when the terminal sent no cursor, or one from which a pull cannot start. */
    behind: behindOf(time).nullable(),
    /** How this terminal reaches the head. `bytes` estimates the network traffic. */
    plan: z.discriminatedUnion('by', [
      /** The terminal is at the head. */
      z.object({ by: z.literal('none') }),
      /** The terminal pulls pages of this set of scopes. */
      z.object({
        by: z.literal('pages'),
        scopes: ScopeSet,
        bytes: z.int().nonnegative(),
        /** Compacted pages are available, with each row once. Request them first. */
        squashed: z.boolean(),
      }),
      /**
       * The terminal's data belongs to another set of scopes. It fetches the rows that differ, or a snapshot where that
       * costs less.
       */
      z.object({
        by: z.literal('difference'),
        scopes: ScopeSet,
        rows: z.int().nonnegative(),
        tables: z.int().nonnegative(),
        bytes: z.int().nonnegative(),
      }),
      /** The terminal downloads a snapshot. */
      z.object({
        by: z.literal('snapshot'),
        scopes: ScopeSet,
        reason: SnapshotReason,
        /** Rows, tables and network traffic. An estimate until the file is ready. */
        rows: z.int().nonnegative(),
        tables: z.int().nonnegative(),
        bytes: z.int().nonnegative(),
      }),
    ]),
    feed: z.object({
      /** Whether the relay has heard from the feed within its time limit, and the feed reported no fault. */
      connected: z.boolean(),
      /** When the relay last heard from the feed, by the relay's clock. */
      heardAt: z.nullable(time),
      /** Time at `now` since the relay last held everything that the master had. Null: unknown. */
      lagMs: z.number().nonnegative().nullable(),
      /** The fault that keeps the feed from making progress. */
      fault: z.object({ code: FeedFaultCode, since: time }).optional(),
      /** Number of tables that do not follow the master: set aside, or left out. Absent: none. */
      troubled: z.int().positive().optional(),
      /** When the feed last took a base copy, and the reason: `the slot is gone`. */
      base: z.object({ at: time, why: z.string() }).optional(),
    }),
  });

/** GET status. Never cached. At most 1 kB. */
export const RelayStatus = relayStatusOf(TimeText);
export type RelayStatus = z.infer<typeof RelayStatus>;
/** {@link RelayStatus} as the relay sends it. */
export type RelayStatusBody = z.input<typeof RelayStatus>;

/** Query of GET transactions. */
export const TransactionsQuery = z.object({
  epoch: Epoch,
  /** The list starts after this seq. */
  after: z.coerce.number().pipe(Seq),
  /** Upper bound on the number of transactions. */
  limit: z.coerce.number().int().min(1).max(500).default(100),
});

/** Returns the schema of a {@link TransactionList}. `time`: the schema of its times. */
export const transactionListOf = <T extends TimeSchema>(time: T) =>
  z.object({
    transactions: z.array(
      z.object({
        seq: Seq,
        /** When the master committed the transaction. */
        committedAt: time,
        /** Changes in the terminal's scopes. */
        changes: z.int().nonnegative(),
        /** Size as pages, in bytes before compression. */
        bytes: z.int().nonnegative(),
        /** Names of the tables that the transaction changes. */
        tables: z.array(z.string()),
      }),
    ),
    /** Newest seq in the log. */
    head: Seq,
  });

/** GET transactions: the transactions after a seq, oldest first. A person chooses one of them to sync up to. */
export const TransactionList = transactionListOf(TimeText);
export type TransactionList = z.infer<typeof TransactionList>;
/** {@link TransactionList} as the relay sends it. */
export type TransactionListBody = z.input<typeof TransactionList>;

/** Query of GET tables: the replica's cursor, as two fields. Absent when the replica has no data. */
export const TablesQuery = z.object({ epoch: Epoch.optional(), seq: z.coerce.number().pipe(Seq).optional() });

/** GET tables: the tables of the feed, with the terminal's backlog in each. */
export const TableList = z.object({
  tables: z.array(
    z.object({
      name: z.string(),
      /** Rows in the terminal's scopes, at the head. */
      rows: z.int().nonnegative(),
      /** Changes in the terminal's backlog. Null without a cursor. */
      waiting: z.int().nonnegative().nullable(),
      /** Commit time of the newest change. Null: none is known. */
      lastChangeAt: TimeText.nullable(),
      /** Present while the table is set aside. */
      setAside: SetAside.optional(),
    }),
  ),
});
export type TableList = z.infer<typeof TableList>;
/** {@link TableList} as the relay sends it. */
export type TableListBody = z.input<typeof TableList>;

/** `from`: the seq of a terminal that has data. The snapshot must not be older. */
export const SnapshotQuery = z.object({ epoch: Epoch.optional(), from: z.coerce.number().pipe(Seq).optional() });

/** GET snapshot: the file that is ready, or 503 `snapshot_building` with Retry-After. */
export const SnapshotManifest = z.object({
  feed: z.string(),
  /** The position of the snapshot's data. */
  cursor: Cursor,
  /**
   * Commit time of the cursor's transaction. The replica stores it, so it remains text and keeps the master's
   * microseconds.
   */
  committedAt: z.iso.datetime(),
  scopes: ScopeSet,
  /** Size of the SQLite file, bytes. */
  bytes: z.int().positive(),
  /** SHA-256, in hex, of the SQLite file. */
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  /**
   * Encoded forms of the file. Each can be requested with Range under `?coding=`. sha256 and bytes describe the encoded
   * file.
   */
  codings: z.array(
    z.object({ coding: z.enum(['identity', 'gzip', 'zstd']), bytes: z.int().positive(), sha256: z.string() }),
  ),
  /** Rows of all tables. */
  rows: z.int().nonnegative(),
  /** Each table with its number of rows. */
  tables: z.array(z.object({ id: TableId, name: z.string(), rows: z.int().nonnegative(), schema: TableSchema })),
});
export type SnapshotManifest = z.infer<typeof SnapshotManifest>;

/** Query of GET snapshotFile: one of the manifest's codings. */
export const SnapshotFileQuery = z.object({ coding: z.enum(['identity', 'gzip', 'zstd']).default('identity') });

/** One value of a key, in its wire form. */
const KeyValue = z.union([z.string(), z.number(), z.null()]);

/** Rows of a table with keys greater than `after` and at most `upto`, in key order. Null: no bound. */
export const KeyRange = z.object({ after: z.array(KeyValue).nullable(), upto: z.array(KeyValue).nullable() });
export type KeyRange = z.infer<typeof KeyRange>;

/**
 * POST digests: checksums of ranges of a snapshot's rows. Each range is divided into at most `parts` parts of similar
 * size.
 */
export const DigestRequest = z.object({
  asks: z
    .array(z.object({ table: TableId, range: KeyRange, parts: z.int().min(1).max(256) }))
    .min(1)
    .max(256),
});
export type DigestRequest = z.infer<typeof DigestRequest>;

/** Checksum of the rows after the previous part and up to a key: rules C2 and C3 of docs/protocol.md. */
export const DigestPart = z.object({
  /** The last key of the part. Null: the end of the range. */
  upto: z.array(KeyValue).nullable(),
  /** Number of rows in the part. */
  rows: z.int().nonnegative(),
  /** The checksum: 128 bits, in hex. */
  digest: z.string().regex(/^[0-9a-f]{32}$/),
});
export type DigestPart = z.infer<typeof DigestPart>;

/** Answer to digests: the parts of each range, in key order. */
export const DigestAnswer = z.object({ answers: z.array(z.array(DigestPart)) });
export type DigestAnswer = z.infer<typeof DigestAnswer>;

/**
 * POST rows: the rows of ranges, as many as fit into one answer. The answer is text in the format of a page. It has one
 * or more lines `["i", table, rows]` for each range, in the requested order, and a {@link RowsTrailer}.
 */
export const RowsRequest = z.object({
  asks: z
    .array(z.object({ table: TableId, range: KeyRange }))
    .min(1)
    .max(256),
});
export type RowsRequest = z.infer<typeof RowsRequest>;

/** Last line of an answer to rows. An answer without it is invalid. */
export const RowsTrailer = z.object({
  /**
   * Number of complete ranges, and the key after which the next range resumes. Null: the next range resumes at its
   * start.
   */
  done: z.int().nonnegative(),
  after: z.array(KeyValue).nullable(),
  /** SHA-256, in hex, of all bytes before this line. */
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});
export type RowsTrailer = z.infer<typeof RowsTrailer>;
