import { randomUUID } from 'node:crypto';
import { renameSync } from 'node:fs';
import type { TransactionList } from '@tidemark/protocol/api';
import type { Seq } from '@tidemark/protocol/cursor';
import { asTidemarkError, TidemarkError } from '@tidemark/protocol/errors';
import type { Mode, Run, Trigger } from '@tidemark/protocol/run';
import { Replica } from '@tidemark/replica/replica';
import { deriveStatus } from '@tidemark/status/derive';
import type { Facts } from '@tidemark/status/facts';
import { guard } from '@tidemark/table-store/sqlite';
import { FactBook } from '../facts/fact-book.ts';
import { FactTeller } from '../facts/fact-teller.ts';
import type { Context, Effect } from '../machine/effect.ts';
import type { Event } from '../machine/event.ts';
import { dueAt, initial, next } from '../machine/machine.ts';
import type { RunState } from '../machine/run-state.ts';
import type { Policy, State } from '../machine/state.ts';
import { Downloads } from '../relay/download.ts';
import { RelayClient } from '../relay/relay-client.ts';
import { failureOf } from '../relay/relay-errors.ts';
import { joined, RunRecord } from '../run/run-record.ts';
import { AgentWork, type Site, startOf, type WorkEffect } from '../run/work.ts';
import type { Agent, AgentOptions, AgentSettings, Log } from './agent-api.ts';
import type { Sample, TableRow } from './contract.ts';

/** The longest that a timer is set for, ms: clocks are set, PCs sleep. */
const TIMER_MS = 60_000;
/** While the relay is followed, the lag chart gets a point at most this often, ms. */
const SAMPLE_MS = 5_000;
/** Runs that are looked through for the last one of the schedule. */
const LISTED = 500;

/** Runs the machine's effects. It decides nothing: what comes next stands in machine.ts. */
class SyncAgent implements Agent {
  readonly #options: AgentOptions;
  readonly #log: Log;
  readonly #book = new FactBook();
  readonly #teller = new FactTeller(() => this.facts());
  readonly #work: AgentWork;
  readonly #runListeners = new Set<(run: Run) => void>();
  readonly #queue: Event[] = [];
  readonly #inFlight = new Set<Promise<void>>();
  #state: State;
  #settings: AgentSettings | null = null;
  #relay: RelayClient | null = null;
  #replica: Replica | null = null;
  #record: RunRecord | null = null;
  #abort = new AbortController();
  #running = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #sampledAt = 0;
  #stopped = Promise.withResolvers<void>();

  constructor(options: AgentOptions, log: Log) {
    this.#options = options;
    this.#log = log;
    this.#work = new AgentWork({
      ...{ book: this.#book, teller: this.#teller, log, downloads: new Downloads(options.databasePath) },
      asked: (now) => this.#sample(now),
    });
    const paused = options.paused && {
      ...options.paused,
      interrupted: null,
    };
    this.#state = initial(this.#policy(null), paused);
  }

  // --- what it is told

  start(settings: AgentSettings): void {
    this.changeSettings(settings);
  }

  changeSettings(settings: AgentSettings): void {
    const before = this.#settings;
    const { relayUrl, feed, token } = settings;
    const configured = relayUrl !== '' && feed !== '' && token !== null;
    const reopen = before !== null && before.feed !== feed;
    const sameKey = before?.token && token ? before.token.equals(token) : before?.token === token;
    const reconnect = before === null || reopen || before.relayUrl !== relayUrl || !sameKey;
    this.#settings = settings;
    if (reconnect) {
      this.#relay?.close();
      this.#relay =
        configured && token ? new RelayClient({ relayUrl, feed, token, version: this.#options.version }) : null;
      this.#book.forgetRelay();
    }
    this.#dispatch({
      type: 'settings',
      feed: feed === '' ? 'none' : reopen ? 'changed' : 'same',
      connection: !configured ? 'none' : reconnect && before !== null ? 'changed' : 'same',
      policy: this.#policy(settings),
    });
  }

  async stop(): Promise<void> {
    this.#dispatch({ type: 'stop' });
    await this.#stopped.promise;
    await Promise.allSettled([...this.#inFlight]);
    this.#relay?.close();
  }

  run(mode: Mode, trigger: Trigger, target?: Seq): void {
    this.#dispatch({ type: 'start', mode, trigger, upTo: target ?? null });
  }

  cancel(): void {
    this.#dispatch({ type: 'cancel' });
  }

  pause(until: number | null, by: string): void {
    this.#dispatch({ type: 'pause', until, by });
  }

  resume(): void {
    this.#dispatch({ type: 'resume' });
  }

  setOnline(online: boolean | null): void {
    this.#book.online = online;
    this.#dispatch({ type: 'online', online });
  }

  woke(): void {
    this.#dispatch({ type: 'woke' });
  }

  // --- what it tells

  facts(): Facts {
    return this.#book.facts(this.#state, this.#settings, this.#record, Date.now());
  }

  onFacts(listener: (facts: Facts) => void): () => void {
    return this.#teller.listen(listener);
  }

  onRun(listener: (run: Run) => void): () => void {
    this.#runListeners.add(listener);
    return () => this.#runListeners.delete(listener);
  }

  async waiting(after: Seq | null, limit: number): Promise<TransactionList> {
    const relay = this.#relay;
    if (!relay) throw new TidemarkError('not_configured');
    const { cursor } = this.#state;
    if (cursor === null) throw new TidemarkError('target_invalid', { target: after ?? 0 });
    return relay.transactions(cursor, after ?? cursor.seq, limit, new AbortController().signal);
  }

  async tables(): Promise<TableRow[]> {
    const here = new Map(this.#replica?.tables().map(({ name, rows }) => [name, rows]));
    const onlyHere = () => [...here].map(([name, rows]) => ({ name, rows, waiting: null, lastChangeAt: null }));
    if (!this.#relay) return onlyHere();
    try {
      const { tables } = await this.#relay.tables(this.#state.cursor, new AbortController().signal);
      const there = tables.map(({ name, waiting, lastChangeAt }) => {
        const rows = here.get(name) ?? null;
        here.delete(name);
        return { name, rows, waiting, lastChangeAt };
      });
      return [...there, ...onlyHere()];
    } catch (error) {
      this.#log('info', 'tables.not_asked', { code: asTidemarkError(error).code });
      return onlyHere();
    }
  }

  runs(before: number | null, limit: number): Run[] {
    return this.#replica?.history.runs(before, limit) ?? [];
  }

  samples(sinceMs: number): Sample[] {
    return this.#replica?.history.samples(Date.now() - sinceMs) ?? [];
  }

  // --- the machine

  #dispatch(event: Event): void {
    this.#queue.push(event);
    if (this.#running) return;
    this.#running = true;
    try {
      for (let due = this.#queue.shift(); due; due = this.#queue.shift()) this.#step(due);
    } finally {
      this.#running = false;
    }
    this.#schedule();
    this.#teller.tell();
  }

  #step(event: Event): void {
    const before = this.#state;
    const context: Context = { now: Date.now(), random: Math.random, newId: randomUUID };
    const { state, effects } = next(before, event, context);
    this.#state = state;
    if (state.at !== before.at)
      this.#log('debug', 'state', { from: before.at, to: state.at, by: event.type, position: state.cursor?.seq });
    for (const effect of effects) this.#do(effect);
    if (state.at === 'pulling' && (before.at !== 'pulling' || before.plan !== state.plan))
      this.#work.countPages(state.plan, this.#site());
    if (state.at !== 'stopped') return;
    this.#teller.stop();
    this.#stopped.resolve();
  }

  #schedule(): void {
    clearTimeout(this.#timer);
    const at = this.#state.at === 'stopped' ? null : dueAt(this.#state);
    if (at === null) return;
    const wait = Math.min(TIMER_MS, Math.max(0, at - Date.now()));
    this.#timer = setTimeout(() => this.#dispatch({ type: 'tick' }), wait);
  }

  // --- effects

  #do(effect: Effect): void {
    switch (effect.do) {
      case 'open':
        return this.#open(effect.setAside);
      case 'close':
        this.#work.forgetFound();
        this.#replica?.close();
        this.#replica = null;
        return this.#book.closed();
      case 'abort':
        return this.#abortAll();
      case 'began':
        this.#record = new RunRecord(effect.run);
        return;
      case 'attempt-failed': {
        const { run, failure } = effect;
        const { code, params, detail } = failure.fault;
        this.#log('warn', 'attempt.failed', {
          run: run.id,
          attempt: run.failures.streak?.attempts,
          code,
          params,
          detail,
        });
        return this.#book.failing(this.#theRecord(run).end(run, 'failed', failure.fault, this.#standing()));
      }
      case 'ended':
        return this.#ended(effect.run, effect.outcome, effect.fault);
      default:
        return this.#begin(effect);
    }
  }

  #open(setAside: boolean): void {
    const { databasePath: file } = this.#options;
    try {
      if (setAside) {
        const aside = `${file}.damaged-${new Date().toISOString().replaceAll(':', '')}`;
        guard(file, () => renameSync(file, aside));
        this.#log('warn', 'replica.set_aside', { file: aside });
      }
      const replica = Replica.open(file, this.#settings?.feed ?? '');
      this.#replica = replica;
      this.#book.opened(replica.summary());
      const { cursor } = replica.cursorState();
      const start = startOf(replica);
      const scheduled = this.#settings?.automatic === 'check' ? () => true : (run: Run) => run.mode !== 'check';
      const last = replica.history.runs(null, LISTED).find(scheduled);
      this.#dispatch({ type: 'opened', cursor, start, lastRunAt: last?.endedAt ?? null });
    } catch (error) {
      const fault = asTidemarkError(error);
      this.#replica?.close();
      this.#replica = null;
      this.#log('error', 'replica.unusable', { code: fault.code, detail: fault.message });
      this.#dispatch({ type: 'failed', work: 'open', ...failureOf(fault, false) });
    }
  }

  #abortAll(): void {
    this.#abort.abort();
    const abort = new AbortController();
    this.#abort = abort;
    void Promise.allSettled([...this.#inFlight]).then(() => {
      if (this.#abort === abort) this.#dispatch({ type: 'aborted' });
    });
  }

  /** Starts work; what comes of it is told to the machine, unless it was aborted meanwhile. */
  #begin(effect: WorkEffect): void {
    const site = this.#site();
    const done = this.#work.do(effect, site).then((event) => {
      if (!site.signal.aborted) this.#dispatch(event);
    });
    this.#inFlight.add(done);
    void done.finally(() => this.#inFlight.delete(done));
  }

  #site(): Site {
    const { signal } = this.#abort;
    return { state: this.#state, relay: this.#relay, replica: this.#replica, record: this.#record, signal };
  }

  #ended(state: RunState, outcome: Run['outcome'], fault: Run['fault']): void {
    const run = this.#theRecord(state).end(state, outcome, fault, this.#standing());
    this.#record = null;
    this.#work.forgetFound();
    const { id, mode, trigger, to, retries } = run;
    const level = outcome === 'failed' ? 'warn' : trigger === 'watch' ? 'debug' : 'info';
    this.#log(level, 'run.ended', { run: id, mode, trigger, outcome, position: to?.seq, retries, code: fault?.code });
    this.#keep(run);
    for (const listener of this.#runListeners) listener(run);
  }

  /** Into the replica's own history and status row. */
  #keep(run: Run): void {
    const replica = this.#replica;
    const whole = joined(this.#book.lastRun, run) ?? run;
    this.#book.ended(whole);
    if (!replica) return;
    if (run.trigger !== 'watch') this.#sampledAt = 0;
    this.#sample(Date.now());
    const facts = this.facts();
    const { code, headline } = deriveStatus(facts, Date.now());
    this.#write(replica, (history) => {
      history.recordRun(whole);
      history.setStatus({
        checkedAt: facts.probe?.at ?? null,
        syncedAt: facts.lastSuccess?.endedAt ?? null,
        headSeq: facts.probe?.status.head?.seq ?? null,
        waiting: facts.waiting?.changes ?? null,
        code,
        headline,
      });
    });
  }

  #sample(now: number): void {
    if (!this.#replica || now - this.#sampledAt < SAMPLE_MS) return;
    const sample = this.#book.sample(now);
    if (sample === null) return;
    this.#sampledAt = now;
    this.#write(this.#replica, (history) => history.recordSample(sample));
  }

  /** Writes history. A replica that is not to be written to says so by the run's own fault: this one is logged. */
  #write(replica: Replica, work: (history: Replica['history']) => void): void {
    try {
      work(replica.history);
    } catch (error) {
      this.#log('error', 'history.not_written', { detail: asTidemarkError(error).message });
    }
  }

  #standing(): { now: number; to: Run['to']; left: number | null } {
    return { now: Date.now(), to: this.#state.cursor, left: this.#book.waiting?.changes ?? null };
  }

  #policy(settings: AgentSettings | null): Policy {
    const { checkAtStart, watch, freshCopy, giveUpAfterMs, repair = true } = this.#options;
    const { everyMs = null, automatic = 'check' } = settings ?? {};
    return { checkAtStart, watch, freshCopy, giveUpAfterMs, repair, everyMs, automatic };
  }

  #theRecord(run: RunState): RunRecord {
    return this.#record ?? new RunRecord(run);
  }
}

export function createAgent(options: AgentOptions, log: Log): Agent {
  return new SyncAgent(options, log);
}
