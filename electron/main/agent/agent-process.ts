import path from 'node:path';
import { type Caller, makeCaller } from '@tidemark/calls/caller';
import { TidemarkError } from '@tidemark/protocol/errors';
import type { Facts } from '@tidemark/status/facts';
import { AGENT_EVENTS, AGENT_METHODS, type AgentConfig } from '@tidemark/terminal/agent/contract';
import { type UtilityProcess, utilityProcess } from 'electron';
import { forwardCalls } from './forwarded-calls.ts';
import { onCrash } from './restart-policy.ts';

type AgentState = Facts['agent'];
export type AgentFacts = Omit<Facts, 'agent'>;

interface AgentDeps {
  env: Record<string, string>;
  now: () => number;
  log: (level: 'info' | 'warn' | 'error', event: string, fields: Record<string, unknown>) => void;
  /** Called with each line of the agent's log. */
  onLogLine: (line: string) => void;
  /** Called when the agent accepts calls and its config has been sent. */
  onReady: () => void;
  onState: (state: AgentState) => void;
  onFacts: (facts: AgentFacts) => void;
  /**
   * Returns the agent's config, or null before the app is set up. Called at each start and at each {@link
   * AgentProcess.configure}.
   */
  config: () => AgentConfig | null;
}

/** Time limit for the agent to reach a transaction boundary and close its database. */
const STOP_MS = 10_000;

const TABLES = { methods: AGENT_METHODS, events: AGENT_EVENTS };

/**
 * Runs the agent in its own process and restarts it after a crash, as restart-policy.ts decides. Order: fork, `ready`
 * event, `agent.configure`, facts. When the process exits, every pending call is rejected with `agent_down`. The
 * process must never outlive the app, and a process that is being replaced must receive no call.
 */
export class AgentProcess {
  readonly #deps: AgentDeps;
  #child: UtilityProcess | null = null;
  #caller: Caller<typeof AGENT_METHODS> | null = null;
  #exited: Promise<void> = Promise.resolve();
  #crashes: number[] = [];
  #retry: ReturnType<typeof setTimeout> | undefined;
  #stopping = false;
  /** Version of SQLite that the agent loaded; null until the agent is ready. */
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
      serviceName: 'Tidemark sync agent',
      env: this.#deps.env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child = child;
    readLines(child.stdout, this.#deps.onLogLine);
    readLines(child.stderr, this.#deps.onLogLine);
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
        onInvalidMessage: (error) => this.#deps.log('error', 'agent.invalid_message', { detail: error.message }),
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

  /** Sends the agent its current config. Kills an agent that rejects it, so that a new one starts. */
  configure(): void {
    const config = this.#deps.config();
    this.call('agent.configure', { config }).then(
      () => {
        // An agent without a config sends no facts, which otherwise show that it is alive.
        if (config === null && this.state.state !== 'alive') this.#setState({ state: 'alive' });
      },
      (error: unknown) => {
        this.#deps.log('error', 'agent.configure_failed', { detail: String(error) });
        this.#kill();
      },
    );
  }

  call: Caller<typeof AGENT_METHODS>['call'] = (method, input) => {
    if (!this.#caller) return Promise.reject(new TidemarkError('agent_down'));
    return this.#caller.call(method, input);
  };

  /** Handlers for the window's calls that the agent answers. */
  readonly forwarded = forwardCalls((method, input) => this.call(method, input));

  /** Restarts the agent at a person's request and resets the count of crashes. */
  restart(): void {
    if (this.#stopping) return;
    this.#crashes = [];
    clearTimeout(this.#retry);
    this.#setState({ state: 'starting' });
    if (this.#child) this.#kill();
    else this.start();
  }

  /**
   * Stops the agent at a transaction boundary, or kills it after {@link STOP_MS}. Resolves when the process has exited.
   */
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
      // ESRCH: the process has just exited, and its exit event will follow.
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

function readLines(stream: NodeJS.ReadableStream | null, onLine: (line: string) => void): void {
  let rest = '';
  stream?.setEncoding('utf8');
  stream?.on('data', (text: string) => {
    const parts = (rest + text).split('\n');
    rest = parts.pop() ?? '';
    for (const line of parts) if (line !== '') onLine(line);
  });
}
