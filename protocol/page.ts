import { z } from 'zod';
import { Epoch, PageStart, Seq } from './cursor.ts';

/**
 * The header, the trailer and the size limits of pages and batches. The content under a page's name never changes. A
 * receiver discards a page or batch without a valid trailer.
 */

/** Version of the protocol. A change to it needs a new number, see rule V2 of docs/protocol.md. */
export const PROTOCOL_VERSION = 1;

/** A page ends with the first log entry that takes it past this size (bytes, before compression). */
export const PAGE_BYTES = 1024 * 1024;

/**
 * A log entry (one part of a transaction) is closed when it passes this size, so no page is much larger than
 * PAGE_BYTES.
 */
export const ENTRY_BYTES = 256 * 1024;

/** A row line is closed when it passes this size, which bounds the memory and the time to parse one line. */
export const LINE_BYTES = 32 * 1024;

/**
 * Largest row, as the JSON text of its values, in bytes. The feed sets a table with a larger row aside: about 32 MiB of
 * text, or 24 MiB of binary values, which travel as base64.
 */
export const ROW_BYTES = 32 * 1024 * 1024;
/**
 * Largest batch, in bytes. It holds two rows of the largest size, as an update of a table without a key sends them, and
 * the lines before them.
 */
export const BATCH_BYTES = 72 * 1024 * 1024;

/** First line of a page. Its fields are the page's name. */
export const PageHeader = z.object({
  /** Protocol version of the page. */
  tidemark: z.literal(PROTOCOL_VERSION),
  feed: z.string(),
  epoch: Epoch,
  /** Id of the page's set of scopes: see {@link ScopeSet}. */
  scopes: z.string(),
  /** Where the page starts. */
  start: PageStart,
  /** The seq at which the pull ends. */
  target: Seq,
});
export type PageHeader = z.infer<typeof PageHeader>;

/** Last line of a page. */
export const PageTrailer = z.object({
  /** Where the next page starts. When `seq` = target and `part` = 0, the pull is done. */
  next: PageStart,
  /** Changes in this page. */
  changes: z.int().nonnegative(),
  /** SHA-256, in hex, of all bytes before this line. */
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});
export type PageTrailer = z.infer<typeof PageTrailer>;

/** Last line of a batch. The relay verifies it before it parses the lines. */
export const BatchTrailer = z.object({
  /** Number of lines before this one. */
  lines: z.int().nonnegative(),
  /** SHA-256, in hex, of all bytes before this line. */
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});
export type BatchTrailer = z.infer<typeof BatchTrailer>;

/**
 * Id of a set of scopes, under the feed's filters, in the names of pages and snapshots. The answer to GET status
 * contains the id of the terminal's own set. `all`: every row of every table, for a feed without filters.
 */
export const ScopeSet = z.string().regex(/^[0-9a-z]{1,64}$/);
export type ScopeSet = string;
/** The set of scopes of a feed without filters. */
export const EVERYONE: ScopeSet = 'all';
