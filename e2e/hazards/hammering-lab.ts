import { copyFileSync, rmSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import path from 'node:path';
import { PATHS } from '@tidemark/protocol/paths';
import type { Mode, Run } from '@tidemark/protocol/run';
import { createAgent } from '@tidemark/terminal/agent/agent';
import type { Agent, AgentSettings } from '@tidemark/terminal/agent/agent-api';
import { Secret } from '@tidemark/terminal/relay/secret';
import { until } from '@tidemark/testing/processes';
import { temporaryFolder } from '@tidemark/testing/temporary-folder';
import { TestRelay } from '@tidemark/testing/test-relay';
import Database from 'better-sqlite3';

/**
 * A real relay behind a server that answers one kind of request with an invalid answer instead of the relay's. The lab
 * counts all requests of a real agent.
 */

export type Kind = Exclude<keyof typeof PATHS, 'session' | 'batches' | 'troubles' | 'tables'>;

/** The invalid answer. `cut` closes the connection. A function changes the relay's own answer. */
export type Nonsense =
  | 'cut'
  | { status: number; headers?: Record<string, string>; body?: string }
  | ((answer: Buffer) => Buffer);

const PATTERNS = Object.entries(PATHS).map(
  ([kind, { pattern }]) => [kind, new RegExp(`^${pattern.replaceAll(/:\w+/g, '[^/]+')}$`)] as const,
);
const kindOf = (url: string) => PATTERNS.find(([, pattern]) => pattern.test(url.split('?')[0] ?? ''))?.[0];

/** Answers a request. `n` is the number of the request. */
type Answer = (kind: string, n: number, request: http.IncomingMessage, response: http.ServerResponse) => void;

class CountingServer {
  /** The kind of each request that arrived. */
  readonly asked: string[] = [];
  readonly #server: http.Server;
  readonly #sockets = new Set<Socket>();

  private constructor(answer: Answer) {
    this.#server = http.createServer((request, response) => {
      const kind = kindOf(request.url ?? '') ?? 'unknown';
      answer(kind, this.asked.push(kind), request, response);
    });
    this.#server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
  }

  static async start(answer: Answer): Promise<CountingServer> {
    const server = new CountingServer(answer);
    await new Promise<void>((resolve) => server.#server.listen(0, '127.0.0.1', resolve));
    return server;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }
}

/**
 * Returns a handler that gives one kind of request the invalid answer, and forwards every other request to the relay.
 */
function withNonsense(target: string, kind: Kind, nonsense: Nonsense): Answer {
  return (asked, _, request, response) => {
    if (asked !== kind) return void pass(target, request, response, null);
    if (nonsense === 'cut') return void request.socket.destroy();
    if (typeof nonsense === 'function') return void pass(target, request, response, nonsense);
    request.resume();
    response.writeHead(nonsense.status, { 'content-type': 'text/html', ...nonsense.headers });
    response.end(nonsense.body ?? '');
  };
}

/** Returns a handler that forwards each request to the relay that `choose` returns. */
function between(choose: (kind: string, n: number) => TestRelay): Answer {
  return (kind, n, request, response) => {
    const relay = choose(kind, n);
    request.headers.authorization = `Bearer ${relay.token('terminal')}`;
    pass(relay.url, request, response, null);
  };
}

/**
 * Forwards a request to the relay. If `change` is set, it changes the body of the answer, which is then sent
 * uncompressed.
 */
function pass(
  target: string,
  request: http.IncomingMessage,
  response: http.ServerResponse,
  change: ((answer: Buffer) => Buffer) | null,
): void {
  const headers = { ...request.headers, ...(change ? { 'accept-encoding': 'identity' } : {}) };
  const onward = http.request(new URL(request.url ?? '', target), { method: request.method, headers }, (answer) => {
    if (change === null || answer.statusCode !== 200) {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
      return;
    }
    const parts: Buffer[] = [];
    answer.on('data', (part: Buffer) => parts.push(part));
    answer.on('end', () => {
      const body = change(Buffer.concat(parts));
      const { 'content-length': _, ...rest } = answer.headers;
      response.writeHead(200, { ...rest, 'content-length': body.length });
      response.end(body);
    });
  });
  onward.on('error', () => response.destroy());
  response.on('close', () => onward.destroy());
  request.pipe(onward);
}

/** The situation in which an agent sends one kind of request. */
interface Situation {
  /** The mode of the run; null for an agent that follows the relay. */
  mode: Mode | null;
  /** The replica before the run: none, one that is behind, or one that is caught up but has rows that differ. */
  replica: 'none' | 'behind' | 'differs';
}

export const SITUATIONS: Record<Kind, Situation> = {
  status: { mode: null, replica: 'differs' },
  page: { mode: 'one', replica: 'behind' },
  squashed: { mode: 'now', replica: 'behind' },
  transactions: { mode: 'one', replica: 'behind' },
  snapshot: { mode: 'now', replica: 'none' },
  snapshotFile: { mode: 'now', replica: 'none' },
  digests: { mode: 'verify', replica: 'differs' },
  rows: { mode: 'verify', replica: 'differs' },
};

/** An event at the PC that concerns the agent. */
export type Disturb = (agent: Agent, settings: AgentSettings) => void;
const DISTURB_MS = 20;

const ROWS = 300;
/** Returns a name that hardly compresses. */
const noise = (n: number) =>
  Array.from({ length: 160 }, (_, i) =>
    Math.sin(n * 1000 + i)
      .toString(36)
      .slice(2, 16),
  ).join('');

/** The requests of one agent, and its completed runs. */
export interface Asked {
  requests: number;
  /** Number of requests by kind. */
  byKind: Record<string, number>;
  /** Codes of failed attempts and runs. */
  codes: Set<string>;
}

export class HammeringLab {
  readonly relay: TestRelay;
  readonly #folder = temporaryFolder('hammering');
  #agents = 0;

  private constructor(relay: TestRelay) {
    this.relay = relay;
  }

  /**
   * Starts a relay and makes it build its snapshots and compacted pages, so that no valid answer makes an agent wait.
   */
  static async start(): Promise<HammeringLab> {
    const relay = await TestRelay.start();
    const lab = new HammeringLab(relay);
    await relay.base(ROWS, noise);
    await lab.#run('behind.sqlite', 'now');
    const all = (change: number) =>
      Array.from({ length: ROWS }, (_, i): [number, string] => [i + 1, noise(i + change)]);
    await relay.commit('u', all(10_000));
    await relay.commit('u', all(20_000));
    copyFileSync(lab.#file('behind.sqlite'), lab.#file('differs.sqlite'));
    await lab.#run('differs.sqlite', 'now');
    await lab.#run('differs.sqlite', 'verify');
    const db = new Database(lab.#file('differs.sqlite'));
    db.exec("UPDATE item SET name = 'changed here' WHERE id % 50 = 0");
    db.close();
    return lab;
  }

  async stop(): Promise<void> {
    await this.relay.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #file(name: string): string {
    return path.join(this.#folder, name);
  }

  /** Runs the agent once with valid answers. */
  async #run(file: string, mode: Mode): Promise<void> {
    const { agent, ended } = this.#agent(this.relay.url, this.#file(file), mode);
    const run = await ended;
    await agent.stop();
    if (run.fault) throw new Error(`${mode}: ${run.fault.code}`);
  }

  #agent(relayUrl: string, databasePath: string, mode: Mode | null) {
    const codes = new Set<string>();
    const agent = createAgent(
      {
        ...{ databasePath, version: 'test', checkAtStart: false, watch: mode === null, freshCopy: 'take' },
        ...{ giveUpAfterMs: null, paused: null },
      },
      (_, event, { code }) => {
        if ((event === 'attempt.failed' || event === 'run.ended') && typeof code === 'string') codes.add(code);
      },
    );
    const ended = new Promise<Run>((resolve) => {
      agent.onRun(resolve);
    });
    const settings: AgentSettings = {
      ...{ relayUrl, feed: 'shop', token: new Secret(this.relay.token('terminal')) },
      ...{ centralName: '', terminalName: '', everyMs: null, automatic: 'check' },
    };
    agent.start(settings);
    if (mode !== null) agent.run(mode, 'manual');
    return { agent, settings, codes, ended };
  }

  /**
   * Counts the requests of an agent within a time while one kind of request gets invalid answers. The time begins with
   * the first request of this kind. `disturb` is called every {@link DISTURB_MS}.
   */
  async ask(kind: Kind, nonsense: Nonsense, windowMs: number, disturb: Disturb = () => undefined): Promise<Asked> {
    const { mode, replica } = SITUATIONS[kind];
    const file = this.#file(`agent-${++this.#agents}.sqlite`);
    if (replica !== 'none') copyFileSync(this.#file(`${replica}.sqlite`), file);
    return this.#count(withNonsense(this.relay.url, kind, nonsense), file, mode, { from: kind, windowMs, disturb });
  }

  /** Counts the requests of an agent that follows several relays behind one address. The agent begins without data. */
  async askRelays(choose: (kind: string, n: number) => TestRelay, windowMs: number): Promise<Asked> {
    const file = this.#file(`agent-${++this.#agents}.sqlite`);
    return this.#count(between(choose), file, null, { from: 'status', windowMs, disturb: () => undefined });
  }

  /** `from`: the kind of request with which the time begins. */
  async #count(
    answer: Answer,
    file: string,
    mode: Mode | null,
    { from, windowMs, disturb }: { from: Kind; windowMs: number; disturb: Disturb },
  ): Promise<Asked> {
    const server = await CountingServer.start(answer);
    const { agent, settings, codes } = this.#agent(server.url, file, mode);
    const timer = setInterval(() => disturb(agent, settings), DISTURB_MS);
    await until(
      async () => server.asked.includes(from),
      () => `the agent sent no request for ${from}, but ${server.asked.join(', ')}`,
    );
    await new Promise((resolve) => setTimeout(resolve, windowMs));
    clearInterval(timer);
    const asked = [...server.asked];
    await agent.stop();
    await server.stop();
    const byKind: Record<string, number> = {};
    for (const each of asked) byKind[each] = (byKind[each] ?? 0) + 1;
    return { requests: asked.length, byKind, codes };
  }
}
