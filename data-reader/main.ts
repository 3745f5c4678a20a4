import type { Port } from '@tidemark/calls/port';
import { serve } from '@tidemark/calls/server';
import { READER_EVENTS, READER_METHODS } from './contract.ts';
import { ReplicaReader } from './replica-reader.ts';

/**
 * The reader process: answers calls about the rows of one replica, and counts rows while no call waits. Its arguments
 * are the replica's file and the feed. The process that started it ends it when a query takes too long, so this process
 * needs no way to interrupt a query.
 */

/** The file is closed after this time without a call, so that it does not stay open on a PC where nobody reads. */
const IDLE_MS = 30_000;

const [file = '', feed = ''] = process.argv.slice(2);
const reader = new ReplicaReader(file, feed);
const parent = process.parentPort;
const port: Port = {
  post: (message) => parent.postMessage(message),
  onMessage: (listener) => void parent.on('message', ({ data }) => listener(data)),
};

let idle: ReturnType<typeof setTimeout> | undefined;
let surveying = false;

/** Runs a call, then counts rows until the next call arrives. */
function answering<I, O>(work: (input: I) => O): (input: I) => O {
  return (input) => {
    clearTimeout(idle);
    idle = setTimeout(() => reader.close(), IDLE_MS);
    if (!surveying) setImmediate(survey);
    surveying = true;
    return work(input);
  };
}

function survey(): void {
  surveying = reader.survey();
  // Calls that arrived meanwhile run first.
  if (surveying) setImmediate(survey);
}

const send = serve(
  port,
  { methods: READER_METHODS, events: READER_EVENTS },
  {
    'data.tables': answering(reader.tables),
    'data.rows': answering(reader.rows),
    'data.count': answering(reader.count),
    'data.value': answering(reader.value),
  },
  { onInvalidMessage: (error) => console.error(error.message) },
);

send('ready', {});
