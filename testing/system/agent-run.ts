import type { Mode, Run } from '@tidemark/protocol/run';
import { createAgent } from '@tidemark/terminal/agent/agent';
import type { Agent } from '@tidemark/terminal/agent/agent-api';
import { Secret } from '@tidemark/terminal/relay/secret';

/**
 * Runs the terminal's agent in the test's own process, for one run.
 *
 * {@link agentRun} stops the agent before it returns, so that no process has the replica's file open.
 */

export interface AgentRun {
  relayUrl: string;
  token: string;
  database: string;
  mode?: Mode;
  /** How long the agent retries, ms. Default: it gives up at its first failure. */
  giveUpAfterMs?: number;
  repair?: boolean;
  /** Whether the agent follows the relay. The result is then its first run, and `mode` is ignored. */
  watch?: boolean;
  /** Called when facts have changed. */
  each?: (agent: Agent) => void;
}

/** Starts an agent on the feed `shop` and returns the run once it has ended. */
export async function agentRun(options: AgentRun): Promise<Run> {
  const { relayUrl, token, database, mode = 'now', giveUpAfterMs = 0, repair = true, watch = false, each } = options;
  const agent = createAgent(
    {
      databasePath: database,
      version: 'test',
      checkAtStart: false,
      watch,
      freshCopy: 'take',
      giveUpAfterMs,
      repair,
      paused: null,
    },
    () => undefined,
  );
  try {
    return await new Promise((resolve) => {
      agent.onRun(resolve);
      if (each) agent.onFacts(() => each(agent));
      agent.start({
        relayUrl,
        feed: 'shop',
        token: new Secret(token),
        centralName: '',
        terminalName: '',
        everyMs: null,
        automatic: 'check',
      });
      if (!watch) agent.run(mode, 'command');
    });
  } finally {
    await agent.stop();
  }
}
