import { TidemarkError } from '@tidemark/protocol/errors';
import { isKeyOf } from '@tidemark/protocol/relay-address';
import type { Facts } from '@tidemark/status/facts';
import { Secret } from '../relay/secret.ts';
import { createAgent } from './agent.ts';
import type { Agent, AgentSettings, Log } from './agent-api.ts';
import type { AgentConfig } from './contract.ts';

/**
 * Owns the agent of this process. A new configuration changes the agent's settings. A different database file replaces
 * the agent. Configurations are applied one after the other.
 */
export class AgentHost {
  readonly #log: Log;
  readonly #onFacts: (facts: Facts) => void;
  #running: { agent: Agent; databasePath: string } | null = null;
  #configuring: Promise<void> = Promise.resolve();

  constructor(log: Log, onFacts: (facts: Facts) => void) {
    this.#log = log;
    this.#onFacts = onFacts;
  }

  /** Applies a configuration. Null: nothing is set up, so the agent stops. */
  async configure(config: AgentConfig | null): Promise<void> {
    const configured = this.#configuring.then(() => this.#configure(config));
    this.#configuring = configured.catch(() => {});
    await configured;
  }

  /** Returns the agent. Throws `not_configured` when none runs. */
  get agent(): Agent {
    if (!this.#running) throw new TidemarkError('not_configured');
    return this.#running.agent;
  }

  /** Returns the agent, or null when none runs. */
  get agentIfAny(): Agent | null {
    return this.#running?.agent ?? null;
  }

  /** Waits until the configurations that have arrived are applied, and returns the agent. Throws `not_configured`. */
  async configuredAgent(): Promise<Agent> {
    await this.#configuring;
    return this.agent;
  }

  async stop(): Promise<void> {
    await this.#configuring;
    await this.#running?.agent.stop();
  }

  async #configure(config: AgentConfig | null): Promise<void> {
    if (this.#running && this.#running.databasePath !== config?.databasePath) {
      const { agent } = this.#running;
      this.#running = null;
      await agent.stop();
    }
    if (config === null) return;
    if (this.#running) return this.#running.agent.changeSettings(settingsOf(config));
    const agent = createAgent(
      {
        databasePath: config.databasePath,
        version: config.version,
        checkAtStart: true,
        watch: false,
        freshCopy: 'ask',
        giveUpAfterMs: null,
        paused: config.paused,
      },
      this.#log,
    );
    this.#running = { agent, databasePath: config.databasePath };
    agent.onFacts(this.#onFacts);
    agent.start(settingsOf(config));
    this.#onFacts(agent.facts());
  }
}

function settingsOf(config: AgentConfig): AgentSettings {
  return {
    relayUrl: config.relayUrl,
    feed: config.feed,
    // Without a key, the agent sends no request.
    token: isKeyOf(config.keyServer, config.relayUrl) ? new Secret(config.token) : null,
    centralName: config.centralName,
    terminalName: config.branchName,
    everyMs: config.everyMinutes === 0 ? null : config.everyMinutes * 60_000,
    automatic: config.automatic,
  };
}
