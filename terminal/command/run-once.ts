import { existsSync } from 'node:fs';
import type { ExitCode } from '@tidemark/command-line/exit';
import { TidemarkError } from '@tidemark/protocol/errors';
import { type Mode, type Run, RunJson } from '@tidemark/protocol/run';
import { deriveStatus } from '@tidemark/status/derive';
import type { Facts } from '@tidemark/status/facts';
import { shortfallOf } from '@tidemark/status/shortfall';
import { type Status, StatusJson } from '@tidemark/status/status';
import { createAgent } from '../agent/agent.ts';
import type { Agent, AgentSettings } from '../agent/agent-api.ts';
import { type Call, faultError } from './call.ts';
import { progressLine, runLine, verifyLines } from './lines.ts';

/** Commands that perform one run. `pull` and `verify` are defined here, `recopy` in recopy.ts. */

/** How long a command retries before it gives up, ms. The script or service that started it can start it again. */
const GIVE_UP_MS = 30_000;

/** Pulls the changes that are waiting when the command starts. Throws the run's fault. */
export async function pull(call: Call): Promise<ExitCode> {
  return runOnce(call, 'now', true, ({ run, status }) => [
    status.code === 'up-to-date' && run.outcome === 'nothing-new' ? `Up to date. ${runLine(run)}` : runLine(run),
  ]);
}

/**
 * Compares the replica with the relay and, with `repair`, repairs the differences. Throws the run's fault. Without
 * `repair`, also throws `replica_differs` and `replica_empty`.
 */
export async function verify(call: Call, repair: boolean): Promise<ExitCode> {
  if (!repair && !existsSync(call.database)) throw new TidemarkError('replica_empty');
  return runOnce(call, 'verify', repair, verifyLines);
}

/**
 * Performs one run. Prints the lines that `lines` makes of it, and the reasons why the data still falls short of head
 * office's. Returns 3 when there is such a reason. Throws the run's fault, and `cancelled`.
 */
export async function runOnce(
  call: Call,
  mode: Mode,
  repair: boolean,
  lines: (ended: { run: Run; facts: Facts; status: Status }) => string[],
): Promise<ExitCode> {
  const agent = createAgent(
    {
      databasePath: call.database,
      version: call.version,
      checkAtStart: false,
      watch: false,
      freshCopy: 'take',
      giveUpAfterMs: GIVE_UP_MS,
      repair,
      paused: null,
      onSetAside: (file) => warn(call, `The file ${call.database} is damaged. It was renamed to ${file}.`),
    },
    call.log,
  );
  call.signal.addEventListener('abort', () => agent.cancel());
  agent.onFacts((facts) => call.show(progressLine(facts)));
  try {
    const run = await endOfRun(agent, call.settings, mode);
    call.show(null);
    if (run.outcome === 'cancelled') throw new TidemarkError('cancelled');
    // Print the differences that a comparison found, although the run counts as failed.
    const prints = run.fault === null || run.fault.code === 'replica_differs';
    const facts = agent.facts();
    const now = Date.now();
    const status = deriveStatus(facts, now);
    const shortfall = shortfallOf(facts, now);
    if (prints && call.json) call.print(JSON.stringify({ ...RunJson.encode(run), status: StatusJson.encode(status) }));
    else if (prints) for (const line of [...lines({ run, facts, status }), ...shortfall]) call.print(line);
    if (run.fault) throw faultError(run.fault);
    // The run succeeded, but recording it revealed damage.
    if (facts.replica.fault) throw faultError(facts.replica.fault);
    return shortfall.length > 0 ? 3 : 0;
  } finally {
    call.show(null);
    await agent.stop();
  }
}

/** Starts the agent and a run, and returns the run when it has ended. Throws when the replica cannot be opened. */
function endOfRun(agent: Agent, settings: AgentSettings, mode: Mode): Promise<Run> {
  return new Promise((resolve, reject) => {
    const isUnusable = () => {
      const { fault } = agent.facts().replica;
      if (fault) reject(faultError(fault));
      return fault !== null;
    };
    agent.onRun(resolve);
    agent.start(settings);
    // A fresh copy replaces a damaged file.
    if (mode !== 'recopy' && isUnusable()) return;
    agent.run(mode, 'command');
    isUnusable();
  });
}

function warn(call: Call, warning: string): void {
  console.error(call.json ? JSON.stringify({ warning }) : warning);
}
