import type { Mode, Run } from '@tidemark/protocol/status/facts.ts';
import { createAgent } from '@tidemark/terminal/terminal/agent.ts';
import { Secret } from '@tidemark/terminal/terminal/secret.ts';

export interface AgentRun {
  relayUrl: string;
  token: string;
  database: string;
  mode?: Mode;
}

/** One run of the agent itself, in this process, on the feed `shop`; it gives up at its first failure. */
export async function agentRun({ relayUrl, token, database, mode = 'now' }: AgentRun): Promise<Run> {
  const agent = createAgent(
    {
      databasePath: database,
      version: 'test',
      checkAtStart: false,
      watch: false,
      freshCopy: 'take',
      giveUpAfterMs: 0,
      paused: null,
    },
    () => undefined,
  );
  try {
    return await new Promise((resolve) => {
      agent.onRun(resolve);
      agent.start({
        relayUrl,
        feed: 'shop',
        token: new Secret(token),
        centralName: '',
        terminalName: '',
        everyMs: null,
        automatic: 'check',
      });
      agent.run(mode, 'command');
    });
  } finally {
    await agent.stop();
  }
}
