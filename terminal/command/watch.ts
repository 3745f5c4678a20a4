import type { ExitCode } from '@tidemark/command-line/exit';
import { aborted } from '@tidemark/command-line/program';
import { RunJson } from '@tidemark/protocol/run';
import { deriveStatus } from '@tidemark/status/derive';
import type { Facts } from '@tidemark/status/facts';
import { type Status, StatusJson } from '@tidemark/status/status';
import { createAgent } from '../agent/agent.ts';
import type { Call } from './call.ts';
import { progressLine, runLine, sentencesOf, timedLine } from './lines.ts';

/**
 * Identifies the status without the numbers and times in its sentences, which change with every answer. A change of a
 * fault of the feed, or of the tables that are set aside, is a change of the status.
 */
function subjectsOf({ code, attention }: Status, { probe, replica }: Facts): string {
  const { fault, troubled } = probe?.status.feed ?? {};
  const codes = [code, ...attention.map((each) => each.code)];
  return JSON.stringify([codes, fault?.code, troubled, replica.setAside]);
}

/**
 * The command `watch`: follows the relay and pulls changes as they arrive, until it is stopped. It prints runs, and
 * changes of the status between runs.
 */
export async function watch(call: Call): Promise<ExitCode> {
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
  let lastPrinted = '';
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
    if (status.severity === 'busy') return;
    const printed = subjectsOf(status, facts);
    if (printed === lastPrinted) return;
    lastPrinted = printed;
    call.show(null);
    if (call.json) call.print(JSON.stringify({ status: StatusJson.encode(status) }));
    else for (const line of sentencesOf(status)) call.print(timedLine(now, line));
  });
  agent.start(call.settings);
  await aborted(call.signal);
  await agent.stop();
  call.show(null);
  return 0;
}
