import type { TransactionList } from '@tidemark/protocol/api';
import type { Cursor, Seq } from '@tidemark/protocol/cursor';
import { TidemarkError } from '@tidemark/protocol/errors';
import type { Fault } from '@tidemark/protocol/fault';
import type { Mode, Run, Trigger } from '@tidemark/protocol/run';
import { linkTarget } from '@tidemark/replica/link-target';
import type { Facts } from '@tidemark/status/facts';
import { FactBook } from '../facts/fact-book.ts';
import { FactPublisher } from '../facts/fact-publisher.ts';
import type { Effect } from '../machine/effect.ts';
import type { Event } from '../machine/event.ts';
import { initial } from '../machine/machine.ts';
import { isOfSurroundings } from '../machine/phases/transitions.ts';
import type { RunState } from '../machine/run-state.ts';
import type { PullPlan, State } from '../machine/state.ts';
import { RelayClient } from '../relay/relay-client.ts';
import { failureOf } from '../relay/relay-errors.ts';
import { SnapshotDownload } from '../relay/snapshot-download.ts';
import { startPageProgress } from '../run/page-work.ts';
import { type Site, startOf, type WorkDeps } from '../run/site.ts';
import { Worker } from '../run/worker.ts';
import type { Agent, AgentOptions, AgentSettings, Log } from './agent-api.ts';
import type { Sample, TableRow } from './contract.ts';
import { CurrentRun } from './current-run.ts';
import { MachineRunner } from './machine-runner.ts';
import { HeldReplica } from './replica/held-replica.ts';
import { Journal, lastScheduledRunAt } from './replica/journal.ts';
import { tableRows } from './replica/table-rows.ts';
import { connectionOf, isSameConnection, policyOf, settingsEvent } from './settings-change.ts';
import { SpacedCall } from './spaced-call.ts';

/**
 * The agent: turns calls into events of the machine, and the machine's effects into work on the relay and the replica.
 *
 * It owns the open replica, the connection to the relay and the record of the run under way. It must not decide what
 * happens next: the machine does.
 */
class SyncAgent implements Agent {
  readonly #options: AgentOptions;
  readonly #log: Log;
  readonly #book = new FactBook();
  readonly #publisher = new FactPublisher(() => this.facts());
  readonly #replica: HeldReplica;
  readonly #journal: Journal;
  readonly #workDeps: WorkDeps;
  readonly #worker: Worker;
  readonly #runner: MachineRunner;
  readonly #run: CurrentRun;
  readonly #stopped = Promise.withResolvers<void>();
  readonly #networkReturned = new SpacedCall(() => this.#runner.dispatch({ type: 'online' }));
  readonly #wokeUp = new SpacedCall(() => this.#runner.dispatch({ type: 'woke' }));
  #settings: AgentSettings | null = null;
  #relay: RelayClient | null = null;

  constructor(options: AgentOptions, log: Log) {
    const file = linkTarget(options.databasePath);
    this.#options = options;
    this.#log = log;
    const shared = { book: this.#book, publisher: this.#publisher, log };
    this.#replica = new HeldReplica({ ...shared, file, onSetAside: options.onSetAside });
    const onFault = (fault: Fault) => this.#replica.keepDamage(fault);
    this.#run = new CurrentRun(this.#book, () => this.#runner.state.cursor);
    const facts = () => this.facts();
    this.#journal = new Journal({ ...shared, facts, onFault: (fault) => this.#onRecordFault(fault) });
    this.#workDeps = {
      ...shared,
      download: new SnapshotDownload(file),
      onFault,
      onStatus: (now) => this.#journal.addSample(this.#replica.current, now),
    };
    this.#worker = new Worker(this.#workDeps);
    this.#runner = new MachineRunner(initial(policyOf(options, null), options.paused), {
      perform: (effect) => this.#perform(effect),
      onStep: (before, event) => this.#onStep(before, event),
      onRest: () => this.#publisher.publishSoon(),
    });
  }

  start(settings: AgentSettings): void {
    this.#journal.keepCurrent(() => this.#replica.current);
    this.changeSettings(settings);
  }

  changeSettings(settings: AgentSettings): void {
    const before = this.#settings;
    this.#settings = settings;
    if (before === null || !isSameConnection(before, settings)) {
      const connection = connectionOf(settings);
      this.#relay?.close();
      this.#relay = connection && new RelayClient({ ...connection, version: this.#options.version });
      this.#book.forgetRelay();
    }
    this.#runner.dispatch(settingsEvent(this.#options, before, settings));
  }

  async stop(): Promise<void> {
    this.#journal.stop();
    this.#networkReturned.cancel();
    this.#wokeUp.cancel();
    this.#runner.dispatch({ type: 'stop' });
    await this.#stopped.promise;
    await this.#runner.settled();
    this.#relay?.close();
  }

  run(mode: Mode, trigger: Trigger, target?: Seq): void {
    this.#runner.dispatch({ type: 'start', mode, trigger, upTo: target ?? null });
  }

  cancel(): void {
    this.#runner.dispatch({ type: 'cancel' });
  }

  pause(until: number | null, by: string): void {
    this.#runner.dispatch({ type: 'pause', until, by });
  }

  resume(): void {
    this.#runner.dispatch({ type: 'resume' });
  }

  setOnline(online: boolean | null): void {
    this.#book.setOnline(online);
    this.#publisher.publishSoon();
    if (online) this.#networkReturned.request();
    else this.#networkReturned.cancel();
  }

  woke(): void {
    this.#wokeUp.request();
  }

  facts(): Facts {
    return this.#book.facts(this.#runner.state, this.#settings, this.#run.record, Date.now());
  }

  onFacts(listener: (facts: Facts) => void): () => void {
    return this.#publisher.listen(listener);
  }

  onRun(listener: (run: Run) => void): () => void {
    return this.#run.listen(listener);
  }

  async waiting(after: Seq | null, limit: number): Promise<TransactionList> {
    return waitingTransactions(this.#relay, this.#runner.state.cursor, after, limit);
  }

  async tables(): Promise<TableRow[]> {
    const here = this.#replica.read((replica) => replica?.tables() ?? []);
    return tableRows(here, this.#relay, this.#runner.state.cursor, this.#log);
  }

  runs(before: number | null, limit: number): Run[] {
    return this.#replica.read((replica) => replica?.history.runs(before, limit) ?? []);
  }

  samples(sinceMs: number): Sample[] {
    return this.#replica.read((replica) => replica?.history.samples(Date.now() - sinceMs) ?? []);
  }

  /** Handles a fault of the agent's notes in the replica, which do not belong to a run. */
  #onRecordFault(fault: Fault): void {
    this.#replica.keepDamage(fault);
    if (isOfSurroundings(fault))
      this.#runner.dispatch({ type: 'failed', work: 'record', fault, retryAfterMs: null, progressed: false });
  }

  #perform(effect: Effect): void {
    switch (effect.do) {
      case 'abort':
        return;
      case 'open':
        return this.#open(effect.checked);
      case 'close':
        this.#worker.discardRepair();
        this.#replica.close();
        return this.#book.closeReplica();
      case 'began':
        return this.#run.begin(effect.run);
      case 'attempt-failed':
        logFailedAttempt(this.#log, effect.run, effect.failure.fault);
        this.#book.setFailing(this.#run.toRun(effect.run, 'failed', effect.failure.fault));
        return this.#journal.writeStatus(this.#replica.current);
      case 'ended':
        return this.#endRun(this.#run.end(effect.run, effect.outcome, effect.fault));
      default:
        return this.#runner.begin(this.#worker.do(effect, this.#site()));
    }
  }

  #onStep(before: State, event: Event): void {
    const { state } = this.#runner;
    if (state.at !== before.at)
      this.#log('debug', 'state', { from: before.at, to: state.at, by: event.type, position: state.cursor?.seq });
    if (state.at === 'pulling' && (before.at !== 'pulling' || before.plan !== state.plan))
      this.#startPageProgress(state.plan);
    if (state.at !== 'stopped') return;
    this.#publisher.stop();
    this.#stopped.resolve();
  }

  /** `checked`: first renames a damaged file. */
  #open(checked: boolean): void {
    try {
      const replica = this.#replica.open(this.#settings?.feed ?? '', checked);
      const { cursor } = replica.cursorState();
      const lastRunAt = lastScheduledRunAt(replica, this.#settings?.automatic ?? 'sync');
      this.#runner.dispatch({ type: 'opened', cursor, start: startOf(replica), lastRunAt });
    } catch (error) {
      const fault = this.#replica.closeFor(error);
      this.#runner.dispatch({ type: 'failed', work: 'open', ...failureOf(fault, false) });
    }
  }

  #startPageProgress(plan: PullPlan): void {
    try {
      startPageProgress(plan, this.#site(), this.#workDeps);
    } catch (error) {
      this.#runner.dispatch({ type: 'failed', work: 'apply', ...failureOf(this.#replica.faultOf(error), false) });
    }
  }

  #endRun(run: Run): void {
    this.#worker.discardRepair();
    logEnd(this.#log, run);
    this.#journal.addRun(this.#replica.current, run);
    this.#run.announce(run);
  }

  #site(): Site {
    const { state, signal } = this.#runner;
    return { state, relay: this.#relay, replica: this.#replica.current, record: this.#run.record, signal };
  }
}

/** Lists the transactions that wait for a replica at `cursor`. Throws `not_configured`, `target_invalid`, RelayErrors. */
async function waitingTransactions(
  relay: RelayClient | null,
  cursor: Cursor | null,
  after: Seq | null,
  limit: number,
): Promise<TransactionList> {
  if (!relay) throw new TidemarkError('not_configured');
  if (cursor === null) throw new TidemarkError('target_invalid', { target: after ?? 0 });
  return relay.transactions(cursor, after ?? cursor.seq, limit, new AbortController().signal);
}

function logFailedAttempt(log: Log, { id, failures }: RunState, { code, params, detail }: Fault): void {
  log('warn', 'attempt.failed', { run: id, attempt: failures.streak?.attempts, code, params, detail });
}

function logEnd(log: Log, { id, mode, trigger, outcome, to, retries, fault }: Run): void {
  const level = outcome === 'failed' ? 'warn' : trigger === 'watch' ? 'debug' : 'info';
  log(level, 'run.ended', { run: id, mode, trigger, outcome, position: to?.seq, retries, code: fault?.code });
}

export function createAgent(options: AgentOptions, log: Log): Agent {
  return new SyncAgent(options, log);
}
