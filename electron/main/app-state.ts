import { isUnencrypted } from '@tidemark/protocol/relay-address';
import { deriveStatus } from '@tidemark/status/derive';
import { DEFAULT_THRESHOLDS, type Facts } from '@tidemark/status/facts';
import type { Status } from '@tidemark/status/status';
import type { AppState } from '../contract/contract.ts';
import type { AgentFacts } from './agent/agent-process.ts';
import type { SettingsService } from './settings/settings-service.ts';

/** Interval at which the status is derived again. It also depends on the clock: countdowns advance, and answers age. */
const TICK_MS = 1_000;

interface AppStateDeps {
  settings: Pick<SettingsService, 'get' | 'agentConfig' | 'onChange' | 'faults'>;
  now: () => number;
  /** Called after each change of the facts, the settings or the agent, and when a tick has changed the status. */
  publish: (state: AppState) => void;
}

/**
 * Holds the app's state in the main process, where it survives a crashed agent and a closed window.
 *
 * This class derives the status once per change and per tick. Window, tray and task bar show the published status and
 * derive nothing. The agent derives the replica's `tidemark_status` separately, because that must be correct while no
 * app runs. This class does not throttle facts: the agent already limits how often it sends them.
 */
export class AppStateHolder {
  readonly #deps: AppStateDeps;
  #agent: Facts['agent'] = { state: 'starting' };
  #facts: AgentFacts | null = null;
  #published: AppState | null = null;

  constructor(deps: AppStateDeps) {
    this.#deps = deps;
    deps.settings.onChange(() => {
      // The facts describe the previous feed.
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

  /** Returns the current state, with the status derived for the current time. */
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

  /** Returns the facts to use before the agent has sent any. */
  #unknownFacts(configured: boolean): AgentFacts {
    const { centralName, branchName, relayUrl } = this.#deps.settings.get();
    return {
      configured,
      unencrypted: isUnencrypted(relayUrl),
      names: { central: centralName, relay: relayUrl === '' ? '' : new URL(relayUrl).host, terminal: branchName },
      phase: configured ? { kind: 'starting' } : { kind: 'idle' },
      paused: null,
      online: null,
      replica: {
        cursor: null,
        committedAt: null,
        tables: 0,
        rows: 0,
        setAside: { count: 0, tables: [] },
        log: null,
        fault: null,
      },
      probe: null,
      waiting: null,
      lastSuccess: null,
      lastRun: null,
      trend: [],
      remaining: [],
      retry: null,
      schedule: { everyMs: null, nextAt: null },
      clockSkewMs: null,
      thresholds: DEFAULT_THRESHOLDS,
    };
  }
}

const sameStatus = (a: Status, b: Status): boolean => JSON.stringify(a) === JSON.stringify(b);
