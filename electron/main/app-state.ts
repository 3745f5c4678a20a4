import { deriveStatus } from '@tidemark/status/derive';
import { DEFAULT_THRESHOLDS, type Facts } from '@tidemark/status/facts';
import type { Status } from '@tidemark/status/status';
import type { AppState } from '../contract/contract.ts';
import type { AgentFacts } from './agent/agent-process.ts';
import type { SettingsService } from './settings/settings-service.ts';

/** The status changes with the clock, too: a countdown moves once a second, and an answer grows old. */
const TICK_MS = 1_000;

interface AppStateDeps {
  settings: Pick<SettingsService, 'get' | 'agentConfig' | 'onChange' | 'faults'>;
  now: () => number;
  /** Called after each change of the facts, the settings or the agent, and when a tick changed the status. */
  publish: (state: AppState) => void;
}

/**
 * The app's state, kept in the main process, where it survives a dead agent and a closed window.
 *
 * The status is derived here, once per change and per tick. Window, tray and task bar show what is published and derive
 * nothing themselves. (The agent derives the `tidemark_status` of the replica on its own, because it must hold while no
 * app runs.) Facts are not throttled here: the agent already limits how often it sends them.
 */
export class AppStateHolder {
  readonly #deps: AppStateDeps;
  #agent: Facts['agent'] = { state: 'starting' };
  #facts: AgentFacts | null = null;
  #published: AppState | null = null;

  constructor(deps: AppStateDeps) {
    this.#deps = deps;
    deps.settings.onChange(() => {
      // Facts about another feed do not hold for this one.
      if (deps.settings.agentConfig() === null) this.#facts = null;
      this.#publish();
    });
    setInterval(() => this.#tick(), TICK_MS).unref();
  }

  setAgent(agent: Facts['agent']): void {
    this.#agent = agent;
    this.#publish();
  }

  setFacts(facts: AgentFacts): void {
    this.#facts = facts;
    this.#publish();
  }

  /** The present state, with the status of this moment. */
  get(): AppState {
    const { settings, now } = this.#deps;
    const configured = settings.agentConfig() !== null;
    const known = configured && this.#facts ? this.#facts : this.#unknownFacts(configured);
    const facts: Facts = { ...known, agent: this.#agent };
    return {
      facts,
      status: deriveStatus(facts, now()),
      settings: settings.get(),
      settingsFaults: [...settings.faults],
    };
  }

  #publish(state = this.get()): void {
    this.#published = state;
    this.#deps.publish(state);
  }

  #tick(): void {
    const state = this.get();
    if (this.#published === null || !sameStatus(this.#published.status, state.status)) this.#publish(state);
  }

  /** Facts before the agent has sent any. */
  #unknownFacts(configured: boolean): AgentFacts {
    const { centralName, branchName, relayUrl } = this.#deps.settings.get();
    return {
      configured,
      names: { central: centralName, relay: relayUrl === '' ? '' : new URL(relayUrl).host, terminal: branchName },
      phase: configured ? { kind: 'starting' } : { kind: 'idle' },
      paused: null,
      online: null,
      replica: { cursor: null, committedAt: null, tables: 0, rows: 0, fault: null },
      probe: null,
      waiting: null,
      lastSuccess: null,
      lastRun: null,
      trend: [],
      retry: null,
      schedule: { everyMs: null, nextAt: null },
      clockSkewMs: null,
      thresholds: DEFAULT_THRESHOLDS,
    };
  }
}

const sameStatus = (a: Status, b: Status): boolean => JSON.stringify(a) === JSON.stringify(b);
