import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { asTidemarkError, TidemarkError } from '@tidemark/protocol/errors';
import type { Fault } from '@tidemark/protocol/fault';
import { type Mode, type Run, RunJson } from '@tidemark/protocol/run';
import { TimeText } from '@tidemark/protocol/time';
import { readReplicaSummary } from '@tidemark/replica/replica-summary';
import { deriveStatus } from '@tidemark/status/derive';
import { type Facts, FactsJson } from '@tidemark/status/facts';
import { FORMAT } from '@tidemark/status/format';
import { type Status, StatusJson } from '@tidemark/status/status';
import { createAgent } from '../agent/agent.ts';
import type { Agent, AgentSettings, Log } from '../agent/agent-api.ts';
import { FactBook } from '../facts/fact-book.ts';
import { initial } from '../machine/machine.ts';
import { newRun } from '../machine/run-state.ts';
import type { State } from '../machine/state.ts';
import { RelayClient } from '../relay/relay-client.ts';
import { failureOf } from '../relay/relay-errors.ts';
import { RunRecord } from '../run/run-record.ts';

/** What a command is called with. */
export interface Call {
  settings: AgentSettings;
  database: string;
  version: string;
  json: boolean;
  log: Log;
  print: (line: string) => void;
  /** Shows a line in place of the one that it showed before; null: nothing is under way. */
  show: (line: string | null) => void;
  /** Aborted when a person or the system ends the command. */
  signal: AbortSignal;
}

/** A command gives up when its attempts have failed for this long, ms: whoever runs it by a schedule runs it again. */
const GIVE_UP_MS = 30_000;

const POLICY = { checkAtStart: false, paused: null } as const;

/** Pulls once: whatever the terminal lacks at the start. Throws the fault that it ends with. */
export async function pull(call: Call): Promise<void> {
  await once(call, 'now', true, ({ run }) => [summary(run)]);
}

/** Compares with the relay and, with `repair`, fetches what differs. Throws the fault that it ends with, replica_differs and replica_empty among them. */
export async function verify(call: Call, repair: boolean): Promise<void> {
  if (!repair && !existsSync(call.database)) throw new TidemarkError('replica_empty');
  await once(call, 'verify', repair, verifyLines);
}

/** Does one run, and prints what `lines` says of it. */
async function once(
  call: Call,
  mode: Mode,
  repair: boolean,
  lines: (ended: { run: Run; facts: Facts }) => string[],
): Promise<void> {
  const agent = createAgent(
    {
      ...POLICY,
      databasePath: call.database,
      version: call.version,
      watch: false,
      freshCopy: 'take',
      giveUpAfterMs: GIVE_UP_MS,
      repair,
    },
    call.log,
  );
  call.signal.addEventListener('abort', () => agent.cancel());
  agent.onFacts((facts) => call.show(lineOf(facts)));
  try {
    const run = await ended(agent, call.settings, mode);
    call.show(null);
    if (run.outcome === 'cancelled') throw new TidemarkError('cancelled');
    const shown = run.fault === null || run.fault.code === 'replica_differs';
    if (shown && call.json) call.print(JSON.stringify(RunJson.encode(run)));
    else if (shown) for (const line of lines({ run, facts: agent.facts() })) call.print(line);
    if (run.fault) throw faultError(run.fault);
  } finally {
    call.show(null);
    await agent.stop();
  }
}

/** Starts the agent and a run; gives the run when it has ended. Throws when the replica cannot be opened. */
function ended(agent: Agent, settings: AgentSettings, mode: Mode): Promise<Run> {
  return new Promise((resolve, reject) => {
    agent.onRun(resolve);
    agent.start(settings);
    const { fault } = agent.facts().replica;
    if (fault) reject(faultError(fault));
    else agent.run(mode, 'command');
  });
}

/** Says where the replica stands and what the relay has, without writing to either. */
export async function status(call: Call): Promise<void> {
  const { relayUrl, feed, token } = call.settings;
  const book = new FactBook();
  const look = existsSync(call.database) ? readReplicaSummary(call.database, feed) : null;
  if (look) book.opened(look);
  const policy = {
    ...POLICY,
    everyMs: null,
    automatic: 'check',
    watch: false,
    freshCopy: 'ask',
    giveUpAfterMs: null,
    repair: false,
  } as const;
  const state = { ...initial(policy, null), at: 'idle', configured: true, cursor: look?.cursor ?? null } as const;
  let failed: Fault | null = null;
  if (token) {
    const relay = new RelayClient({ relayUrl, feed, token, version: call.version });
    const asked = Date.now();
    try {
      const cursor = look?.cursor ?? null;
      const scopes = look?.scopes ?? null;
      book.probed(await relay.status({ cursor, scopes }, 0, call.signal), cursor, asked, Date.now());
    } catch (error) {
      failed = failureOf(asTidemarkError(error), false).fault;
      book.failing(failedCheck(state, failed, asked));
    } finally {
      relay.close();
    }
  }
  const facts = book.facts(state, call.settings, null, Date.now());
  const derived = deriveStatus(facts, Date.now());
  call.print(
    call.json
      ? JSON.stringify({ status: StatusJson.encode(derived), facts: FactsJson.encode(facts) })
      : statusLines(derived, facts).join('\n'),
  );
  if (failed) throw faultError(failed);
}

/** Asking the relay, as a check that failed: what is told then rests on it. */
function failedCheck(state: State, fault: Fault, startedAt: number): Run {
  const run = newRun(randomUUID(), { mode: 'check', trigger: 'command', upTo: null }, state.cursor, startedAt);
  return new RunRecord(run).end(run, 'failed', fault, { now: Date.now(), to: state.cursor, left: null });
}

/** Follows the relay, pulling whatever comes, until it is ended. */
export async function watch(call: Call): Promise<void> {
  const agent = createAgent(
    {
      ...POLICY,
      databasePath: call.database,
      version: call.version,
      watch: true,
      freshCopy: 'take',
      giveUpAfterMs: null,
    },
    call.log,
  );
  let last = '';
  agent.onRun((run) => {
    if (run.outcome === 'nothing-new') return;
    call.show(null);
    call.print(call.json ? JSON.stringify({ run: RunJson.encode(run) }) : `${clock(run.endedAt)}  ${summary(run)}`);
  });
  agent.onFacts((facts) => {
    call.show(lineOf(facts));
    const derived = deriveStatus(facts, Date.now());
    const line = `${derived.headline}. ${derived.detail}`;
    // Each transaction makes it busy and up to date again: that is told as a run.
    if (derived.code === last || derived.severity === 'busy') return;
    last = derived.code;
    call.show(null);
    call.print(call.json ? JSON.stringify({ status: StatusJson.encode(derived) }) : `${clock(Date.now())}  ${line}`);
  });
  agent.start(call.settings);
  await new Promise<void>((resolve) => {
    if (call.signal.aborted) resolve();
    call.signal.addEventListener('abort', () => resolve());
  });
  await agent.stop();
  call.show(null);
}

/** What is under way, in one line; null: nothing is. */
function lineOf(facts: Facts): string | null {
  const { severity, headline, detail } = deriveStatus(facts, Date.now());
  if (severity !== 'busy') return null;
  const { phase } = facts;
  const finishing = phase.kind === 'syncing' && phase.progress.stage === 'finishing' && phase.progress.total > 0;
  const share = finishing ? FORMAT.percent(phase.progress.done, phase.progress.total) : '';
  return [headline, detail, share].filter((part) => part !== '').join(' · ');
}

/** A run in one sentence. */
function summary(run: Run): string {
  const at = run.to === null ? '' : ` Position ${FORMAT.count(run.to.seq)}.`;
  if (run.outcome === 'failed') return `Failed. ${run.fault ? faultError(run.fault).message : ''}`.trim();
  if (run.outcome === 'cancelled') return `Cancelled. What was saved stays.${at}`;
  if (run.outcome === 'nothing-new') return `Up to date: nothing new.${at}`;
  const { inserted, updated, deleted, truncated } = run;
  const all = inserted + updated + deleted + truncated;
  const parts = [
    inserted > 0 ? `${FORMAT.count(inserted)} added` : null,
    updated > 0 ? `${FORMAT.count(updated)} updated` : null,
    deleted > 0 ? `${FORMAT.count(deleted)} deleted` : null,
    truncated > 0 ? `${FORMAT.counted(truncated, 'table')} replaced` : null,
  ].filter((part) => part !== null);
  const what = parts.length === 0 ? '' : ` (${parts.join(', ')})`;
  const took = run.endedAt - run.startedAt;
  return `Received ${FORMAT.counted(all, 'change')}${what} in ${FORMAT.counted(run.tables.length, 'table')}, ${FORMAT.bytes(run.bytes)}, in ${(took / 1000).toFixed(1)} s.${at}`;
}

/** What a comparison found, by table, and how it ended. */
function verifyLines({ run, facts }: { run: Run; facts: Facts }): string[] {
  const { differences } = run;
  const { tables, rows } = facts.replica;
  const at = run.to === null ? '' : ` at position ${FORMAT.count(run.to.seq)}`;
  const all = `${FORMAT.counted(rows, 'row')} in ${FORMAT.counted(tables, 'table')}`;
  const whole = `${rows === 1 ? `${all} equals` : `All ${all} equal`} the relay${at}.`;
  if (differences === undefined)
    return [
      `A fresh copy was taken: it cost less than the rows that differed, or there was nothing to compare.`,
      whole,
    ];
  const found = differences.map(
    ({ table, missing, extra, different }) =>
      `${table}: ${FORMAT.count(missing)} missing, ${FORMAT.count(extra)} extra, ${FORMAT.count(different)} different`,
  );
  if (run.fault !== null) return found;
  const sum = differences.reduce((all, { missing, extra, different }) => all + missing + extra + different, 0);
  const repaired =
    differences.length === 0
      ? []
      : [`Repaired ${FORMAT.counted(sum, 'row')} in ${FORMAT.counted(differences.length, 'table')}.`];
  return [...found, ...repaired, whole];
}

function statusLines(derived: Status, facts: Facts): string[] {
  const { cursor, committedAt, tables, rows } = facts.replica;
  return [
    `${derived.headline}. ${derived.detail}`,
    `Position ${cursor === null ? '—' : cursor.seq}, data as of ${committedAt === null ? '—' : TimeText.encode(committedAt)}, ${FORMAT.counted(tables, 'table')}, ${FORMAT.counted(rows, 'row')}`,
    ...derived.attention.map(({ text }) => text),
  ];
}

/** Time of day in UTC: `10:42:05`. */
const clock = (time: number): string => TimeText.encode(time).slice(11, 19);

function faultError({ code, params, detail }: Fault): TidemarkError {
  return new TidemarkError(code, params, detail);
}
