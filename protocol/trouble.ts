import { z } from 'zod';
import { TimeText } from './time.ts';

/**
 * Troubles of a feed: tables whose replication has stopped, and faults that stop the complete feed.
 *
 * A terminal reads the reason of a trouble, never its detail, because a detail may contain data outside the terminal's
 * scopes. Only head office reads details. A reason that a receiver does not know has no sentence of its own; the
 * receiver then uses the sentence of `other`.
 */

/**
 * Why a table is set aside, each with its sentence for people at a branch. `detail` and `todo` of a {@link TableTrouble}
 * name the row, the setting and the statement to run.
 */
export const SET_ASIDE_REASONS = {
  row_too_large: 'A row of this table is larger than the limit',
  value_unconvertible: 'Head office’s database cannot convert a value of this table to Unicode',
  value_unknown: 'A value of this table has an unknown form',
  no_key: 'This table has no key that identifies its rows',
  not_readable: 'Head office’s database does not permit reading this table',
  not_published: 'Head office’s database does not permit publishing this table',
  not_supported: 'A replica cannot hold a table of this form',
  filter_invalid: 'The data selection no longer matches this table',
  other: 'Head office’s database fails to send this table',
} as const;
export type SetAsideReason = keyof typeof SET_ASIDE_REASONS;
export const SetAsideReason = z.enum(Object.keys(SET_ASIDE_REASONS) as [SetAsideReason, ...SetAsideReason[]]);

/**
 * Reads a reason. An unknown one becomes `other`. `catch` would do the same, but OpenAPI cannot describe it. `preprocess`
 * cannot be encoded, and commands print facts and runs that contain reasons.
 */
const KnownReason = z.codec(z.string(), SetAsideReason, {
  decode: (reason) => SetAsideReason.catch('other').parse(reason),
  encode: (reason) => reason,
});

/**
 * The mark of a table that is set aside. Its rows keep the state after the last transaction before the one that carries
 * the mark.
 */
export const SetAside = z.object({
  reason: KnownReason,
  /** Commit time of the last transaction that the rows contain (ISO 8601, UTC), by the master's clock. */
  asOf: z.iso.datetime(),
});
export type SetAside = z.infer<typeof SetAside>;

/** Longest detail or remedy, in characters. A feed cuts longer ones. */
export const TROUBLE_TEXT = 2_000;
/** Largest number of tables in a report. A feed reports the first ones by name, and counts the others. */
export const REPORTED_TABLES = 500;

const text = z.string().max(TROUBLE_TEXT);

/** A table that is set aside, or was left out from the beginning. */
export const TableTrouble = z.object({
  table: z.string().min(1).max(200),
  reason: KnownReason,
  /** The row, column or setting that causes the trouble, for head office. It never contains a secret. */
  detail: text,
  /** The statement to run, or the change to make. */
  todo: text,
  /** When the feed first saw the trouble, by the feed's clock. */
  since: TimeText,
  /** Whether the relay holds rows of the table. */
  held: z.boolean(),
});
export type TableTrouble = z.infer<typeof TableTrouble>;

const FEED_FAULTS = z.enum([
  'source_unreachable',
  'source_denied',
  'source_not_ready',
  'source_lost',
  'source_unsupported',
  'slot_in_use',
  'config_invalid',
  'relay_unreachable',
  'relay_timeout',
  'relay_not_tidemark',
  'relay_failed',
  'relay_busy',
  'batch_invalid',
  'batch_corrupt',
  'batch_out_of_order',
  'session_unknown',
  'filter_invalid',
  'disk_full',
  'internal',
]);
/** Error codes that a feed may report. A code that is not listed is read as `internal`. */
export const FeedFaultCode = z.codec(z.string(), FEED_FAULTS, {
  decode: (code) => FEED_FAULTS.catch('internal').parse(code),
  encode: (code) => code,
});
export type FeedFaultCode = z.infer<typeof FeedFaultCode>;

/** The fault that keeps a feed from making progress. */
export const FeedFault = z.object({
  code: FeedFaultCode,
  /** The filled sentence of the error, for head office. It never contains a secret. */
  detail: text,
  /** When the feed last made progress, or started, by the feed's clock. */
  since: TimeText,
  /** Number of consecutive attempts that failed. */
  attempts: z.int().positive(),
});
export type FeedFault = z.infer<typeof FeedFault>;

/** POST troubles: everything that is wrong now. It replaces the feed's earlier report. */
export const FeedReport = z.object({
  /** Null while the feed makes progress. */
  fault: FeedFault.nullable(),
  tables: z.array(TableTrouble).max(REPORTED_TABLES),
  /** Number of further tables in trouble, which `tables` has no room for. */
  more: z.int().nonnegative(),
});
export type FeedReport = z.infer<typeof FeedReport>;

/** GET troubles, for administrators: the feed's last report, and when it arrived. Null before the first report. */
export const FeedTroubles = z.object({ report: FeedReport.nullable(), heardAt: TimeText.nullable() });
export type FeedTroubles = z.infer<typeof FeedTroubles>;
