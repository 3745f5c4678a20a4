import path from 'node:path';
import { type Caller, makeCaller } from '@tidemark/calls/caller';
import type { Handlers } from '@tidemark/calls/server';
import { TidemarkError } from '@tidemark/protocol/errors';
import type { Facts } from '@tidemark/status/facts';
import { AGENT_EVENTS, AGENT_METHODS, type AgentConfig, FORWARDED_METHODS } from '@tidemark/terminal/agent/contract';
import { type UtilityProcess, utilityProcess } from 'electron';
import { onCrash } from './restart-policy.ts';

type AgentState = Facts['agent'];
export type AgentFacts = Omit<Facts, 'agent'>;

export interface AgentDeps {
  env: Record<string, string>;
  now: () => number;
  log: (level: 'info' | 'warn' | 'error', event: string, fields: Record<string, unknown>) => void;
  /** The engine's own lines of log. */
  onLine: (line: string) => void;
  /** The engine takes calls and has been given its config. */
  onReady: () => void;
  onState: (state: AgentState) => void;
  onFacts: (facts: AgentFacts) => void;
  /** What the engine is to do, asked at each start of it. */
  config: () => AgentConfig | null;
}

/** How long the engine may take to come to a safe point and close its database. */
const STOP_MS = 10_000;

const TABLES = { methods: AGENT_METHODS, events: AGENT_EVENTS };

/**
 * The sync engine's process, started again when it dies: after 1, 2, 4, 8, 16 s, and at most five times in ten
 * minutes. Whoever waits for an answer of a dead process is told so at once.
 */
export class AgentProcess {
  readonly #deps: AgentDeps;
  #child: UtilityProcess | null = null;
  #caller: Caller<typeof AGENT_METHODS> | null = null;
  #exited: Promise<void> = Promise.resolve();
  #crashes: number[] = [];
  #retry: ReturnType<typeof setTimeout> | undefined;
  #stopping = false;
  /** SQLite's version as the engine loaded it; null: not known. */
  sqlite: string | null = null;
  state: AgentState = { state: 'starting' };

  constructor(deps: AgentDeps) {
    this.#deps = deps;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  start(): void {
    const child = utilityProcess.fork(path.join(__dirname, 'agent.cjs'), [], {
      serviceName: 'Tidemark sync engine',
      env: this.#deps.env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child = child;
    lines(child.stdout, this.#deps.onLine);
    lines(child.stderr, this.#deps.onLine);
    const caller = makeCaller(
      { post: (message) => child.postMessage(message), onMessage: (listener) => void child.on('message', listener) },
      TABLES,
      {
        on: {
          ready: ({ sqlite }) => {
            this.sqlite = sqlite;
            this.configure();
            this.#deps.onReady();
          },
          facts: (facts) => {
            if (this.#child !== child) return;
            if (this.state.state !== 'alive') this.#setState({ state: 'alive' });
            this.#deps.onFacts(facts);
          },
        },
        onInvalidMessage: (error) => this.#deps.log('error', 'agent.nonsense', { detail: error.message }),
        unanswered: (reason) => new TidemarkError('agent_down', {}, new Error(reason)),
      },
    );
    this.#caller = caller;
    this.#exited = new Promise((resolve) => {
      child.once('exit', (code) => {
        caller.close(`it ended with code ${code}`);
        if (this.#child === child) {
          this.#child = null;
          this.#caller = null;
        }
        if (!this.#stopping) this.#crashed(code);
        resolve();
      });
    });
  }

  /** Gives the engine its present config. */
  configure(): void {
    const config = this.#deps.config();
    this.call('agent.configure', { config }).then(
      () => {
        if (config === null && this.state.state !== 'alive') this.#setState({ state: 'alive' });
      },
      (error: unknown) => {
        this.#deps.log('error', 'agent.configure_failed', { detail: String(error) });
        // One that does not answer is as good as dead, and its end starts the next.
        this.#kill();
      },
    );
  }

  call: Caller<typeof AGENT_METHODS>['call'] = (method, input) => {
    if (!this.#caller) return Promise.reject(new TidemarkError('agent_down'));
    return this.#caller.call(method, input);
  };

  /** The window's calls that the agent answers. */
  readonly forwarded = Object.fromEntries(
    Object.keys(FORWARDED_METHODS).map((method) => [
      method,
      (input: never) => this.call(method as keyof typeof FORWARDED_METHODS, input),
    ]),
  ) as unknown as Handlers<typeof FORWARDED_METHODS>;

  /** A person asks for another try after all restarts were used up. */
  restart(): void {
    if (this.#stopping) return;
    this.#crashes = [];
    clearTimeout(this.#retry);
    this.#setState({ state: 'starting' });
    if (this.#child) this.#kill();
    else this.start();
  }

  /** Ends the engine: at a safe point if it answers in time, else by force. After it no process is left. */
  async stop(): Promise<void> {
    this.#stopping = true;
    clearTimeout(this.#retry);
    const child = this.#child;
    if (!child) return;
    const force = setTimeout(() => this.#kill(), STOP_MS);
    this.call('agent.stop', {}).catch((error: unknown) => {
      this.#deps.log('warn', 'agent.stop_failed', { detail: String(error) });
      this.#kill();
    });
    await this.#exited;
    clearTimeout(force);
  }

  #kill(): void {
    const pid = this.#child?.pid;
    if (pid === undefined) return;
    try {
      process.kill(pid, 'SIGKILL');
    } catch (error) {
      // It ended by itself a moment ago, and its exit will be told.
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }

  #crashed(code: number): void {
    const now = this.#deps.now();
    const { crashes, verdict } = onCrash(this.#crashes, now);
    this.#crashes = crashes;
    this.#deps.log('error', 'agent.exit', { code, ...verdict });
    if (!verdict.restart) return this.#setState({ state: 'down', restarts: verdict.restarts, since: now });
    this.#setState({ state: 'restarting', restarts: verdict.restarts, since: now });
    this.#retry = setTimeout(() => this.start(), verdict.afterMs);
  }

  #setState(state: AgentState): void {
    this.state = state;
    this.#deps.onState(state);
  }
}

function lines(stream: NodeJS.ReadableStream | null, onLine: (line: string) => void): void {
  let rest = '';
  stream?.setEncoding('utf8');
  stream?.on('data', (text: string) => {
    const parts = (rest + text).split('\n');
    rest = parts.pop() ?? '';
    for (const line of parts) if (line !== '') onLine(line);
  });
}
