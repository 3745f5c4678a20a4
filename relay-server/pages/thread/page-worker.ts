import { workerData } from 'node:worker_threads';
import { openReader, type Reader } from '@tidemark/table-store/sqlite';
import { serveThread } from '../../threads/worker-thread.ts';
import { type Coding, compressNow } from '../compression.ts';
import { type Encoded, PAGE_CALLS, PageData } from './page-calls.ts';
import { PageReader } from './page-reader.ts';

/**
 * The thread that reads and compresses pages, off the relay's event loop. Handlers are synchronous, so the thread builds
 * one page at a time and uses one core. It reads over its own connection and never writes.
 */

const { file, feed, filters } = PageData.parse(workerData);
let open: { db: Reader; pages: PageReader } | null = null;

/** Opens the database at the first page, whose request then receives the error if opening fails. */
function pages(): PageReader {
  if (!open) {
    const db = openReader(file);
    open = { db, pages: new PageReader(db, feed, filters) };
  }
  return open.pages;
}

function encoded(plain: Buffer, coding: Coding): Encoded {
  const page = compressNow(plain, coding);
  return { bytes: inOwnBuffer(page.bytes), coding: page.coding, plainBytes: plain.length };
}

/** Returns the bytes in a buffer that holds nothing else, so that it can move to another thread. */
function inOwnBuffer(bytes: Buffer): Uint8Array<ArrayBuffer> {
  const { buffer } = bytes;
  const isAlone = buffer instanceof ArrayBuffer && buffer.byteLength === bytes.length;
  return isAlone ? new Uint8Array(buffer) : new Uint8Array(bytes);
}

const port = serveThread(PAGE_CALLS, {
  page: ({ epoch, set, start, target, coding }) => encoded(pages().page(epoch, set, start, target), coding),
  compress: ({ bytes, coding }) => encoded(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), coding),
  close: () => {
    open?.db.close();
    open = null;
    port.close();
    return {};
  },
});
