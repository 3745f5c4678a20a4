import { once } from 'node:events';
import net from 'node:net';
import { keyOf } from './fleet-relay.ts';

/**
 * The load of the fleet benchmarks, in its own process, so that it does not delay the measuring one. It uses plain
 * sockets, because an HTTP client for 10,000 connections would cost more than the relay. Each job arrives as a message;
 * the process sends `waiting` when all requests are sent, and then the outcome.
 */

/** A request of one terminal. */
export interface Ask {
  key: number;
  path: string;
  /** Makes the request a POST. */
  body?: string;
}
export type Job =
  /** Sends all requests at once, each on its own connection. Repeats those that the relay asks to repeat. */
  | { kind: 'at-once'; port: number; asks: Ask[]; limitMs: number }
  /** Sends the requests one after another, on one connection. */
  | { kind: 'one-by-one'; port: number; asks: Ask[] }
  /** Each terminal sends its requests one after another, again and again. Measures each round. */
  | { kind: 'rounds'; port: number; terminals: Ask[][]; pauseMs: number; forMs: number }
  /** Sends requests with one hostile key. They go through the given paths and bodies in order, again and again. */
  | {
      kind: 'hostile';
      port: number;
      paths: string[];
      bodies?: string[];
      connections: number;
      pipelined: number;
      forMs: number;
    };
export interface Outcome {
  /** For each request: the last HTTP status, when it ended (ms since the epoch), bytes, and the number of refusals. */
  answers: { status: number; atMs: number; bytes: number; refused: number }[];
  /** Durations of the rounds. */
  roundsMs: number[];
  /** Number of requests that the hostile key sent. */
  sent?: number;
}

const nowMs = () => performance.timeOrigin + performance.now();

/** Sends one request on a connection. Resolves with status, Retry-After in ms, and the size of the body. */
function ask(socket: net.Socket, request: Ask): Promise<{ status: number; waitMs: number; bytes: number }> {
  return new Promise((resolve, reject) => {
    let head = '';
    let length = -1;
    let bytes = 0;
    let status = 0;
    let waitMs = 0;
    const onData = (chunk: Buffer) => {
      let size = chunk.length;
      if (length < 0) {
        head += chunk.toString('latin1');
        const end = head.indexOf('\r\n\r\n');
        if (end < 0) return;
        length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
        status = Number(head.slice(9, 12));
        waitMs = Number(/retry-after: (\d+)/i.exec(head)?.[1] ?? 0) * 1000;
        size = head.length - end - 4;
      }
      bytes += size;
      if (bytes < length) return;
      socket.off('data', onData).off('error', onError).off('close', onClose);
      resolve({ status, waitMs, bytes });
    };
    const onError = (error: Error) => reject(error);
    const onClose = () => reject(new Error('the relay closed the connection'));
    socket.on('data', onData).once('error', onError).once('close', onClose);
    socket.write(textOf(request));
  });
}

const textOf = ({ key, path, body }: Ask): string =>
  `${body === undefined ? 'GET' : 'POST'} ${path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${keyOf(key)}\r\naccept-encoding: zstd, gzip\r\ncontent-length: ${body?.length ?? 0}\r\n\r\n${body ?? ''}`;

const connect = (port: number) =>
  new Promise<net.Socket>((resolve, reject) => {
    const socket = net.connect({ port, host: '127.0.0.1', noDelay: true }, () => {
      socket.off('error', reject);
      resolve(socket);
    });
    socket.once('error', reject);
  });

/** Connections that are opened at once. The relay's backlog holds 511. */
const CONNECTING = 200;

async function atOnce({ port, asks, limitMs }: Extract<Job, { kind: 'at-once' }>): Promise<Outcome> {
  const sockets: net.Socket[] = [];
  for (let from = 0; from < asks.length; from += CONNECTING)
    sockets.push(...(await Promise.all(asks.slice(from, from + CONNECTING).map(() => connect(port)))));
  const until = nowMs() + limitMs;
  const one = async (each: Ask, socket: net.Socket) => {
    let connection = socket;
    for (let refused = 0; ; refused++) {
      const answer = await ask(connection, each).catch(() => null);
      const atMs = nowMs();
      if (answer && answer.status < 500) {
        connection.destroy();
        return { status: answer.status, atMs, bytes: answer.bytes, refused };
      }
      if (atMs > until) return { status: answer?.status ?? 0, atMs, bytes: 0, refused };
      // As a terminal does: at least as long as asked, and at random.
      await new Promise((resolve) => setTimeout(resolve, Math.max(answer?.waitMs ?? 0, 250) * (1 + Math.random() / 2)));
      if (!answer || connection.destroyed) connection = await connect(port);
    }
  };
  const answers = asks.map((each, n) => one(each, sockets[n] as net.Socket));
  process.send?.('waiting');
  return { answers: await Promise.all(answers), roundsMs: [] };
}

async function oneByOne({ port, asks }: Extract<Job, { kind: 'one-by-one' }>): Promise<Outcome> {
  const socket = await connect(port);
  const answers: Outcome['answers'] = [];
  for (const each of asks) {
    const { status, bytes } = await ask(socket, each);
    answers.push({ status, atMs: nowMs(), bytes, refused: 0 });
  }
  socket.destroy();
  return { answers, roundsMs: [] };
}

async function rounds({ port, terminals, pauseMs, forMs }: Extract<Job, { kind: 'rounds' }>): Promise<Outcome> {
  const answers: Outcome['answers'] = [];
  const roundsMs: number[] = [];
  const until = nowMs() + forMs;
  const one = async (asks: Ask[]) => {
    const socket = await connect(port);
    while (nowMs() < until) {
      const begin = nowMs();
      for (const each of asks) {
        const { status, bytes } = await ask(socket, each);
        answers.push({ status, atMs: nowMs(), bytes, refused: 0 });
      }
      roundsMs.push(nowMs() - begin);
      // At random, so that the terminals do not ask at the same moment.
      if (pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs * (0.5 + Math.random())));
    }
    socket.destroy();
  };
  await Promise.all(terminals.map(one));
  return { answers, roundsMs };
}

/**
 * One hostile key for some time. With `pipelined`, each connection sends many requests and never reads an answer, and
 * opens again when the relay closes it. Otherwise each connection sends the next request after each answer.
 */
async function hostile(job: Extract<Job, { kind: 'hostile' }>): Promise<Outcome> {
  const { port, paths, bodies = [], connections, pipelined, forMs } = job;
  const until = nowMs() + forMs;
  let sent = 0;
  const next = (): Ask => {
    const body = bodies[sent % bodies.length];
    return { key: 0, path: paths[sent++ % paths.length] ?? '/', ...(body === undefined ? {} : { body }) };
  };
  const unread = (socket: net.Socket) => {
    socket.pause();
    for (let n = 0; n < pipelined; n++) socket.write(textOf(next()));
    const timer = setTimeout(() => socket.destroy(), until - nowMs());
    return once(socket, 'close').finally(() => clearTimeout(timer));
  };
  const read = async (socket: net.Socket) => {
    while (nowMs() < until) await ask(socket, next());
    socket.destroy();
  };
  const one = async () => {
    while (nowMs() < until) {
      const socket = await connect(port);
      socket.on('error', () => undefined);
      await (pipelined > 1 ? unread(socket) : read(socket)).catch(() => undefined);
    }
  };
  const all = Array.from({ length: connections }, one);
  process.send?.('waiting');
  await Promise.all(all);
  return { answers: [], roundsMs: [], sent };
}

const OUTCOMES = { 'at-once': atOnce, 'one-by-one': oneByOne, rounds, hostile };

/** Runs a job and sends its outcome. A failure ends the process, which fails the benchmark. */
async function run(job: Job): Promise<void> {
  process.send?.(await OUTCOMES[job.kind](job as never));
}

if (import.meta.main) process.on('message', (job: Job) => void run(job));
