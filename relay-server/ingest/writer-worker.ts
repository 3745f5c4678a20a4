import { parentPort, workerData } from 'node:worker_threads';
import { asTidemarkError } from '@tidemark/protocol/errors';
import { openWriter, type Writer } from '@tidemark/table-store/sqlite';
import type { Filters } from '../routing/filters.ts';
import { Ingest } from './ingest.ts';
import type { WriterReply, WriterRequest } from './writer-calls.ts';

/** A feed's only writer: everything that writes to its database happens here, off the event loop of the relay. */
const port = parentPort;
if (!port) throw new Error('the writer runs as a thread');
const { file, filters } = workerData as { file: string; filters: Filters };
let opened: { db: Writer; ingest: Ingest } | null = null;

/** Opened by the first request, so that what stands in the way is its answer. */
function open(): { db: Writer; ingest: Ingest } {
  if (opened) return opened;
  const db = openWriter(file, { synchronous: 'full' });
  try {
    opened = { db, ingest: new Ingest(db, filters) };
  } catch (error) {
    db.close();
    throw error;
  }
  return opened;
}

function answer(request: WriterRequest): WriterReply {
  try {
    if (request.kind === 'close' && opened === null) return { id: request.id, ok: true, value: null };
    const { db, ingest } = open();
    switch (request.kind) {
      case 'open':
        return { id: request.id, ok: true, value: null };
      case 'session': {
        ingest.reset(request);
        return { id: request.id, ok: true, value: { feed: ingest.feed, tables: ingest.tables() } };
      }
      case 'batch':
        return {
          id: request.id,
          ok: true,
          value: ingest.apply(Buffer.from(request.bytes.buffer, request.bytes.byteOffset, request.bytes.byteLength)),
        };
      case 'drop-oldest':
        return { id: request.id, ok: true, value: ingest.dropOldest(request.keep, request.now) };
      case 'reset':
        ingest.reset();
        return { id: request.id, ok: true, value: null };
      case 'close':
        ingest.reset();
        db.pragma('wal_checkpoint(TRUNCATE)');
        db.close();
        return { id: request.id, ok: true, value: null };
    }
  } catch (error) {
    const { code, params, stack } = asTidemarkError(error);
    return { id: request.id, ok: false, fault: { code, params, detail: stack ?? '' } };
  }
}

port.on('message', (request: WriterRequest) => {
  port.postMessage(answer(request));
  if (request.kind === 'close') port.close();
});
