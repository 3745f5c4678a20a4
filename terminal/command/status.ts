import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import type { ExitCode } from '@tidemark/command-line/exit';
import { asTidemarkError } from '@tidemark/protocol/errors';
import type { Fault } from '@tidemark/protocol/fault';
import type { Run } from '@tidemark/protocol/run';
import { linkTarget } from '@tidemark/replica/link-target';
import { type ReplicaSummary, readReplicaSummary } from '@tidemark/replica/replica-summary';
import { largeLogOf } from '@tidemark/replica/write-ahead-log';
import { deriveStatus } from '@tidemark/status/derive';
import { FactsJson } from '@tidemark/status/facts';
import { shortfallOf } from '@tidemark/status/shortfall';
import { StatusJson } from '@tidemark/status/status';
import { FactBook } from '../facts/fact-book.ts';
import { initial } from '../machine/machine.ts';
import { newRun } from '../machine/run-state.ts';
import type { Policy, State } from '../machine/state.ts';
import { RelayClient } from '../relay/relay-client.ts';
import { failureOf } from '../relay/relay-errors.ts';
import { RunRecord } from '../run/record/run-record.ts';
import { type Call, faultError } from './call.ts';
import { statusLines } from './lines.ts';

/**
 * The command `status`. It collects facts without an agent, because it must neither create the replica nor write to it.
 */

const POLICY: Policy = {
  checkAtStart: false,
  everyMs: null,
  automatic: 'check',
  watch: false,
  freshCopy: 'ask',
  giveUpAfterMs: null,
  repair: false,
};

/**
 * Prints the positions of replica and relay. Throws `db_*`. When the relay does not answer, prints the rest and then
 * throws that fault.
 */
export async function status(call: Call): Promise<ExitCode> {
  const book = new FactBook();
  const summary = existsSync(call.database) ? readReplicaSummary(call.database, call.settings.feed) : null;
  if (summary) book.openReplica(summary);
  book.setLog(largeLogOf(linkTarget(call.database)));
  const state: State = {
    ...initial(POLICY, null),
    at: 'idle',
    configured: true,
    cursor: summary?.cursor ?? null,
  };
  const fault = await askRelay(call, book, state, summary);
  const now = Date.now();
  const facts = book.facts(state, call.settings, null, now);
  const derived = deriveStatus(facts, now);
  if (call.json) call.print(JSON.stringify({ status: StatusJson.encode(derived), facts: FactsJson.encode(facts) }));
  else call.print(statusLines(derived, facts).join('\n'));
  if (fault) throw faultError(fault);
  return shortfallOf(facts, now).length > 0 ? 3 : 0;
}

/** Adds the relay's status to the book, or the reason why there is none. Returns the fault. */
async function askRelay(
  { settings, version, signal }: Call,
  book: FactBook,
  state: State,
  summary: ReplicaSummary | null,
): Promise<Fault | null> {
  const { relayUrl, feed, token } = settings;
  if (!token) return null;
  const relay = new RelayClient({ relayUrl, feed, token, version });
  const cursor = summary?.cursor ?? null;
  const asked = Date.now();
  try {
    const answer = await relay.status({ cursor, scopes: summary?.scopes ?? null }, 0, signal);
    book.addStatus(answer, cursor, asked, Date.now());
    return null;
  } catch (error) {
    const { fault } = failureOf(asTidemarkError(error), false);
    book.setFailing(failedCheck(state, fault, asked));
    return fault;
  } finally {
    relay.close();
  }
}

/**
 * Returns a failed run in mode `check` for a failed request. The status is derived from it: the last run shows whether
 * the relay can be reached.
 */
function failedCheck(state: State, fault: Fault, startedAt: number): Run {
  const run = newRun(randomUUID(), { mode: 'check', trigger: 'command', upTo: null }, state.cursor, startedAt);
  const ended = { now: Date.now(), to: state.cursor, left: null, tables: [] };
  return new RunRecord(run, []).toRun(run, 'failed', fault, ended);
}
