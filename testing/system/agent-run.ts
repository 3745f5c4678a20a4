import type { Mode, Run } from '@tidemark/protocol/run';
import { createAgent } from '@tidemark/terminal/agent/agent';
import type { Agent } from '@tidemark/terminal/agent/agent-api';
import { Secret } from '@tidemark/terminal/relay/secret';

export interface AgentRun {
  relayUrl: string;
  token: string;
  database: string;
  mode?: Mode;
  /** Left out: it gives up at its first failure. */
  giveUpAfterMs?: number;
  repair?: boolean;
  /** The agent follows the relay, and the result is its first run. `mode` is ignored. */
  watch?: boolean;
  /** Called with each change of facts. */
  each?: (agent: Agent) => void;
}

/** One run of the agent itself, in this process, on the feed `shop`. */
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
