import { workerData } from 'node:worker_threads';
import { openWriter, type Writer } from '@tidemark/table-store/sqlite';
import { serveThread } from '../threads/worker-thread.ts';
import { Ingest } from './ingest.ts';
import { WRITER_CALLS, WriterData } from './writer-calls.ts';

/**
 * The thread that performs all writes to a feed's database, off the relay's event loop. Handlers are synchronous, so
 * calls run one after another in order of arrival.
 */

const { file, filters } = WriterData.parse(workerData);
let store: { db: Writer; ingest: Ingest } | null = null;

/** Opens the store at the first call, so that this call receives the error if opening fails. */
function open(): { db: Writer; ingest: Ingest } {
  if (store) return store;
  const db = openWriter(file, { synchronous: 'full' });
  try {
    store = { db, ingest: new Ingest(db, filters) };
  } catch (error) {
    db.close();
    throw error;
  }
  return store;
}

serveThread(WRITER_CALLS, {
  open: () => {
    open();
    return {};
  },
  session: ({ source, base }) => {
    const { ingest } = open();
    ingest.beginSession(source, base);
    return { feed: ingest.feed, tables: ingest.tables() };
  },
  batch: ({ bytes }) => open().ingest.apply(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)),
  dropOldest: ({ keep, nowMs }) => open().ingest.dropOldest(keep, nowMs),
  close: () => {
    if (!store) return {};
    store.ingest.reset();
    store.db.pragma('wal_checkpoint(TRUNCATE)');
    store.db.close();
    store = null;
    return {};
  },
});
