import type { BatchAnswer } from '@tidemark/protocol/api';
import { beforeEach, expect, test } from 'vitest';
import { LineWriter } from '../batching/line-writer.ts';
import { Outbox } from '../batching/outbox.ts';
import { TransactionSink } from './transaction-sink.ts';

const position = (n: number) => n.toString(16).toUpperCase().padStart(16, '0');
const end = (n: number, sampledAtMs: number) => ({ position: position(n), at: `at ${n}`, sampledAtMs });

/** The batches so far: their heartbeats, and the sample time that was sent with them. */
let sent: { heartbeats: [string, boolean][]; sampledAtMs: number | null }[];
let outbox: Outbox;
let sink: TransactionSink;
beforeEach(() => {
  sent = [];
  const send = (batch: Buffer, sampledAtMs: number | null = null): Promise<BatchAnswer> => {
    const lines = batch
      .toString()
      .trimEnd()
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as unknown[]);
    const heartbeats = lines.flatMap(([kind, , at, current]): [string, boolean][] =>
      kind === 'h' ? [[String(at), current === true]] : [],
    );
    sent.push({ heartbeats, sampledAtMs });
    return Promise.resolve({ head: 1 as BatchAnswer['head'], position: null });
  };
  outbox = new Outbox(send, position(1));
  sink = new TransactionSink(new LineWriter(outbox), outbox);
});

test('S12: a current heartbeat carries when the end of the log was read', async () => {
  sink.ask(end(5, 100));
  sink.heartbeat(position(5), 'at 5', true);
  await outbox.drain();
  sink.ask(end(5, 200));
  sink.heartbeat(position(5), 'at 5 again', true);
  await outbox.drain();
  expect(sent.map(({ sampledAtMs }) => sampledAtMs)).toEqual([100, 200]);
});

test('S12: a heartbeat from before the end is followed by a current one when the log has been read up to there', async () => {
  sink.ask(end(9, 100));
  sink.heartbeat(position(4), 'at 9', false);
  await outbox.drain();
  sink.reached(position(8));
  sink.reached(position(9));
  sink.reached(position(10));
  await outbox.drain();
  expect(sent).toEqual([
    { heartbeats: [['at 9', false]], sampledAtMs: null },
    { heartbeats: [['at 9', true]], sampledAtMs: 100 },
  ]);
});

test('S12: a feed that is always behind still sends current heartbeats, each for an earlier end', async () => {
  for (let n = 1; n <= 200; n++) {
    sink.ask(end(10 * n, n));
    sink.heartbeat(position(10 * n - 9), `at ${10 * n}`, false);
    // The feed is 30 heartbeats behind.
    if (n > 30) sink.reached(position(10 * (n - 30)));
    await outbox.drain();
  }
  const current = sent.flatMap(({ sampledAtMs }) => sampledAtMs ?? []);
  expect(current).toEqual(Array.from({ length: 170 }, (_, n) => n + 1));
});

test('S12: an end whose heartbeat was replaced by a later request is not lost', async () => {
  sink.ask(end(5, 100));
  sink.ask(end(9, 200));
  sink.heartbeat(position(6), 'at 9', false);
  sink.reached(position(6));
  await outbox.drain();
  expect(sent.at(-1)).toEqual({ heartbeats: [['at 5', true]], sampledAtMs: 100 });
});
