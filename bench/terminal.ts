import type { Run } from '@tidemark/protocol/run';
import { createAgent } from '@tidemark/terminal/agent/agent';
import type { Agent, AgentSettings } from '@tidemark/terminal/agent/agent-api';
import { Secret } from '@tidemark/terminal/relay/secret';
import { readToken } from '@tidemark/testing/test-relay';
import type { Office } from './office.ts';

/** Runs the terminal's agent in this process, with the app's settings. */
export class BenchTerminal {
  readonly #agent: Agent;
  readonly #settings: AgentSettings;

  constructor(office: Office, database: string) {
    this.#agent = createAgent(
      {
        databasePath: database,
        version: 'bench',
        checkAtStart: false,
        watch: false,
        freshCopy: 'take',
        giveUpAfterMs: 30_000,
        paused: null,
      },
      () => undefined,
    );
    this.#settings = {
      relayUrl: office.system.url,
      feed: 'shop',
      token: new Secret(readToken(office.system.tokenFile('branch-7'))),
      centralName: '',
      terminalName: '',
      everyMs: null,
      automatic: 'check',
    };
  }

  start(): void {
    this.#agent.start(this.#settings);
  }

  /** Pulls as a click on Sync now does. Resolves after the last page is applied. Throws the run's error. */
  async pull(): Promise<Run> {
    const run = await new Promise<Run>((resolve) => {
      const off = this.#agent.onRun((ended) => {
        off();
        resolve(ended);
      });
      this.#agent.run('now', 'manual');
    });
    if (run.outcome === 'failed' || run.outcome === 'cancelled') throw new Error(JSON.stringify(run.fault));
    return run;
  }

  stop(): Promise<void> {
    return this.#agent.stop();
  }
}
