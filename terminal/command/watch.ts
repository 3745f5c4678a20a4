import { aborted } from '@tidemark/command-line/program';
import { RunJson } from '@tidemark/protocol/run';
import { deriveStatus } from '@tidemark/status/derive';
import { StatusJson } from '@tidemark/status/status';
import { createAgent } from '../agent/agent.ts';
import type { Call } from './call.ts';
import { progressLine, runLine, timedLine } from './lines.ts';

/**
 * The command `watch`: follows the relay and pulls changes as they arrive, until it is stopped. It prints runs, and
 * changes of the status between runs.
 */
export async function watch(call: Call): Promise<void> {
  const agent = createAgent(
    {
      databasePath: call.database,
      version: call.version,
      checkAtStart: false,
      watch: true,
      freshCopy: 'take',
      giveUpAfterMs: null,
      paused: null,
    },
    call.log,
  );
  let lastCode = '';
  agent.onRun((run) => {
    if (run.outcome === 'nothing-new') return;
    call.show(null);
    call.print(call.json ? JSON.stringify({ run: RunJson.encode(run) }) : timedLine(run.endedAt, runLine(run)));
  });
  agent.onFacts((facts) => {
    call.show(progressLine(facts));
    const now = Date.now();
    const status = deriveStatus(facts, now);
    // Each transaction changes the status to "busy" and back to "up to date". Printing its run is enough.
    if (status.code === lastCode || status.severity === 'busy') return;
    lastCode = status.code;
    call.show(null);
    const line = `${status.headline}. ${status.detail}`;
    call.print(call.json ? JSON.stringify({ status: StatusJson.encode(status) }) : timedLine(now, line));
  });
  agent.start(call.settings);
  await aborted(call.signal);
  await agent.stop();
  call.show(null);
}
