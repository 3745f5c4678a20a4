import { DEFAULT_THRESHOLDS, type Facts } from '@tidemark/status/facts';
import type { AppState } from '../contract/contract.ts';
import type { AgentFacts } from './agent/agent-process.ts';
import type { SettingsService } from './settings/settings-service.ts';

/** The window is told at most this often. */
const GAP_MS = 100;

/** What the window shows, kept here so that it has it even while the engine is dead. */
export class AppStateHolder {
  readonly #settings: SettingsService;
  readonly #publish: (state: AppState) => void;
  #agent: Facts['agent'] = { state: 'starting' };
  #facts: AgentFacts | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #publishedAt = 0;

  constructor(settings: SettingsService, publish: (state: AppState) => void) {
    this.#settings = settings;
    this.#publish = publish;
    settings.onChange(() => {
      // What is known of another feed is not true of this one.
      if (settings.agentConfig() === null) this.#facts = null;
      this.changed();
    });
  }

  setAgent(agent: Facts['agent']): void {
    this.#agent = agent;
    this.changed();
  }

  setFacts(facts: AgentFacts): void {
    this.#facts = facts;
    this.changed();
  }

  get(): AppState {
    const configured = this.#settings.agentConfig() !== null;
    const facts = configured && this.#facts ? this.#facts : this.#noFacts(configured);
    return {
      facts: { ...facts, agent: this.#agent },
      settings: this.#settings.get(),
      settingsFaults: [...this.#settings.faults],
    };
  }

  changed(): void {
    if (this.#timer) return;
    const wait = Math.max(0, this.#publishedAt + GAP_MS - Date.now());
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#publishedAt = Date.now();
      this.#publish(this.get());
    }, wait);
  }

  /** What is known before the engine has said anything. */
  #noFacts(configured: boolean): AgentFacts {
    const { centralName, branchName, relayUrl } = this.#settings.get();
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
