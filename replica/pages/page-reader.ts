import { createHash } from 'node:crypto';
import type { Epoch } from '@tidemark/protocol/cursor';
import { TidemarkError } from '@tidemark/protocol/errors';
import { PageHeader, PageTrailer, type ScopeSet } from '@tidemark/protocol/page';

/**
 * Pages as a terminal receives them: header line, change lines, trailer line.
 *
 * Order: {@link verifyPage} parses header and trailer once, when the page arrives, and all later code uses the result.
 * {@link expectPage} checks that the page is the next one, which is known only when the page is applied.
 */

const NEWLINE = 0x0a;

/** A page with a valid checksum. */
export interface VerifiedPage {
  header: PageHeader;
  trailer: PageTrailer;
  /** The bytes between header and trailer. Their lines have not been parsed yet. */
  body: Buffer;
  /** Size of the page, including header and trailer, bytes. */
  sizeBytes: number;
}

/**
 * Parses header and trailer of a page and checks its checksum. Throws `page_corrupt`, or `page_invalid` when the first
 * line is not a header.
 */
export function verifyPage(page: Buffer): VerifiedPage {
  if (page.length < 2 || page[page.length - 1] !== NEWLINE) throw new TidemarkError('page_corrupt');
  const trailerAt = page.lastIndexOf(NEWLINE, page.length - 2) + 1;
  const headerEnd = page.indexOf(NEWLINE);
  const trailer = PageTrailer.safeParse(parse(page.subarray(trailerAt)));
  if (trailerAt === 0 || !trailer.success) throw new TidemarkError('page_corrupt');
  const sha256 = createHash('sha256').update(page.subarray(0, trailerAt)).digest('hex');
  if (sha256 !== trailer.data.sha256) throw new TidemarkError('page_corrupt');
  const header = PageHeader.safeParse(parse(page.subarray(0, headerEnd)));
  if (!header.success) throw new TidemarkError('page_invalid', { detail: 'its first line is not a header' });
  const body = page.subarray(headerEnd + 1, trailerAt);
  return { header: header.data, trailer: trailer.data, body, sizeBytes: page.length };
}

/** The properties that the next page must have. */
export interface Expected {
  feed: string;
  epoch: Epoch;
  start: { seq: number; part: number };
  scopes: ScopeSet | null;
}

/** Throws unless the page is the next one. */
export function expectPage(header: PageHeader, expected: Expected): void {
  if (header.feed !== expected.feed)
    throw new TidemarkError('page_invalid', { detail: `it is of the feed ${header.feed}` });
  if (header.epoch !== expected.epoch) throw new TidemarkError('page_other_epoch');
  if (header.scopes !== expected.scopes)
    throw new TidemarkError('page_invalid', {
      detail: `it is of the scopes ${header.scopes}, the data here of ${expected.scopes}`,
    });
  if (header.start.seq !== expected.start.seq || header.start.part !== expected.start.part)
    throw new TidemarkError('page_out_of_order');
}

/** Yields each line of a body, with its start and end. */
export function* linesOf(body: Buffer): Generator<{ text: string; from: number; to: number }> {
  let from = 0;
  while (from < body.length) {
    const end = body.indexOf(NEWLINE, from);
    const to = end === -1 ? body.length : end + 1;
    yield { text: body.toString('utf8', from, end === -1 ? body.length : end), from, to };
    from = to;
  }
}

function parse(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    // The caller throws its own error for a line that is not a header or a trailer.
    return undefined;
  }
}
