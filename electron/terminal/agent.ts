import { randomUUID } from 'node:crypto';
import { renameSync } from 'node:fs';
import type { RelayStatus, TransactionList } from '@tidemark/protocol/api.ts';
import { type Cursor, type Seq, seq } from '@tidemark/protocol/cursor.ts';
import { asTidemarkError, TidemarkError } from '@tidemark/protocol/errors.ts';
import { deriveStatus } from '@tidemark/protocol/status/derive.ts';
import type { Facts, Mode, Run, Trigger } from '@tidemark/protocol/status/facts.ts';
import { trailerOf } from '@tidemark/replica/page-reader.ts';
import type { Repair } from '@tidemark/replica/repair.ts';
import { Replica } from '@tidemark/replica/replica.ts';
import { guard } from '@tidemark/replica/sqlite.ts';
import type { Sample, TableRow } from '../contract/contract.ts';
import type { Agent, AgentOptions, AgentSettings, Log } from './agent-api.ts';
import { compare } from './compare.ts';
import { Downloads } from './download.ts';
import { FactBook } from './fact-book.ts';
import { dueAt, initial, next } from './machine.ts';
import type {
  Context,
  Effect,
  Event,
  PageInHand,
  Policy,
  PullPlan,
  RunState,
  Start,
  State,
  Work,
} from './machine-types.ts';
import { RelayClient, type Transfer } from './relay-client.ts';
import { failureOf } from './relay-errors.ts';
import { joined, RunRecord } from './run-record.ts';

/** Listeners are told of new facts at most this often, ms. */
const TELL_MS = 100;
/** What was told leaves the process within this time, ms. */
const LEAVE_MS = 20;
/** The longest that a timer is set for, ms: clocks are set, PCs sleep. */
const TIMER_MS = 60_000;
/** A long poll lasts this long, s. */
const POLL_S = 30;
/** While the relay is followed, the lag chart gets a point at most this often, ms. */
const SAMPLE_MS = 5_000;
/** Transactions that are listed to count what a chosen target brings. */
const LISTED = 500;
/** A transaction of this size, bytes as pages, takes a moment to be applied as one. */
const LONG_APPLY_BYTES = 8 * 1024 * 1024;

type Unfollowed = Exclude<Effect['do'], 'open' | 'close' | 'abort' | 'began' | 'attempt-failed' | 'ended'>;
/** Work that goes over the network or is put off; its effect's name is its name. */
type WorkEffect = Extract<Effect, { do: Unfollowed }>;

/** Runs the machine's effects. It decides nothing: what comes next stands in machine.ts. */
class SyncAgent implements Agent {
  readonly #options: AgentOptions;
  readonly #log: Log;
  readonly #book = new FactBook();
  readonly #downloads: Downloads;
  readonly #factListeners = new Set<(facts: Facts) => void>();
  readonly #runListeners = new Set<(run: Run) => void>();
  readonly #queue: Event[] = [];
  readonly #inFlight = new Set<Promise<void>>();
  #state: State;
  #settings: AgentSettings | null = null;
  #relay: RelayClient | null = null;
  #replica: Replica | null = null;
  #record: RunRecord | null = null;
  /** What a comparison found, until it is written. */
  #found: Repair | null = null;
  #abort = new AbortController();
  #running = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #telling: ReturnType<typeof setTimeout> | undefined;
  #sampledAt = 0;
  #stopped = Promise.withResolvers<void>();

  constructor(options: AgentOptions, log: Log) {
    this.#options = options;
    this.#log = log;
    this.#downloads = new Downloads(options.databasePath);
    const paused = options.paused && {
      since: Date.parse(options.paused.since),
      until: options.paused.until === null ? null : Date.parse(options.paused.until),
      by: options.paused.by,
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
      configured,
      feedNamed: feed !== '',
      reopen,
      reconnect: reconnect && before !== null,
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
    this.#dispatch({ type: 'start', mode, trigger, wanted: target ?? null });
  }

  cancel(): void {
    this.#dispatch({ type: 'cancel' });
  }

  pause(until: string | null, by: string): void {
    this.#dispatch({ type: 'pause', until: until === null ? null : Date.parse(until), by });
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
    this.#factListeners.add(listener);
    return () => this.#factListeners.delete(listener);
  }

  onRun(listener: (run: Run) => void): () => void {
    this.#runListeners.add(listener);
    return () => this.#runListeners.delete(listener);
  }

  async waiting(after: Seq | null, limit: number): Promise<TransactionList> {
    const relay = this.#theRelay();
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

  runs(before: string | null, limit: number): Run[] {
    return this.#replica?.history.runs(before, limit) ?? [];
  }

  samples(sinceMs: number): Sample[] {
    const samples = this.#replica?.history.samples(Date.now() - sinceMs) ?? [];
    return samples.map(({ at, ...rest }) => ({ at: new Date(at).toISOString(), ...rest }));
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
    this.#tell();
  }

  #step(event: Event): void {
    const before = this.#state;
    const context: Context = { now: Date.now(), random: Math.random, newId: randomUUID };
    const { state, effects } = next(before, event, context);
    this.#state = state;
    if (state.at !== before.at)
      this.#log('debug', 'state', { from: before.at, to: state.at, by: event.type, position: state.cursor?.seq });
    if (state.at === 'pulling' && (before.at !== 'pulling' || before.plan !== state.plan)) this.#beginPages(state.plan);
    for (const effect of effects) this.#do(effect);
    if (state.at === 'stopped') this.#stopped.resolve();
  }

  #schedule(): void {
    clearTimeout(this.#timer);
    const at = this.#state.at === 'stopped' ? null : dueAt(this.#state);
    if (at === null) return;
    const wait = Math.min(TIMER_MS, Math.max(0, at - Date.now()));
    this.#timer = setTimeout(() => this.#dispatch({ type: 'tick' }), wait);
  }

  #tell(): void {
    this.#telling ??= setTimeout(() => {
      this.#telling = undefined;
      if (this.#factListeners.size === 0 || this.#state.at === 'stopped') return;
      const facts = this.facts();
      for (const listener of this.#factListeners) listener(facts);
    }, TELL_MS);
  }

  /** Tells before the thread is busy for a while. */
  async #tellNow(): Promise<void> {
    if (this.#factListeners.size === 0) return;
    const facts = this.facts();
    for (const listener of this.#factListeners) listener(facts);
    await new Promise((resolve) => setTimeout(resolve, LEAVE_MS));
  }

  // --- effects

  #do(effect: Effect): void {
    switch (effect.do) {
      case 'open':
        return this.#open(effect.setAside);
      case 'close':
        this.#forgetFound();
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
        this.#log('warn', 'attempt.failed', { run: run.id, attempt: run.attempt, code, params, detail });
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
      this.#book.opened(replica.look());
      const { cursor } = replica.standing();
      const start = startOf(replica);
      const scheduled = this.#settings?.automatic === 'check' ? () => true : (run: Run) => run.mode !== 'check';
      const last = replica.history.runs(null, LISTED).find(scheduled);
      this.#dispatch({ type: 'opened', cursor, start, lastRunAt: last ? Date.parse(last.endedAt) : null });
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

  /** Starts work; its result or failure is an event, unless it was aborted meanwhile. */
  #begin(effect: WorkEffect): void {
    const { signal } = this.#abort;
    const work: Work = effect.do;
    const done = this.#work(effect, signal).then(
      (event) => {
        if (!signal.aborted) this.#dispatch(event);
      },
      (error: unknown) => {
        if (signal.aborted) return;
        const fault = asTidemarkError(error);
        if (fault.code === 'internal') this.#log('error', 'work.fault', { work, detail: fault.message });
        const gained = work === 'download' && this.#gained;
        this.#dispatch({ type: 'failed', work, ...failureOf(fault, gained) });
      },
    );
    this.#inFlight.add(done);
    void done.finally(() => this.#inFlight.delete(done));
  }

  #gained = false;

  async #work(effect: WorkEffect, signal: AbortSignal): Promise<Event> {
    const relay = this.#theRelay();
    const replica = this.#theReplica();
    switch (effect.do) {
      case 'probe':
        return { type: 'probed', status: await this.#ask(relay, 0, signal), altered: replica.altered().length > 0 };
      case 'poll': {
        // Where it stands is told at once; only then is there something to wait for.
        const waitS = this.#state.cursor === null || this.#book.probe === null ? 0 : POLL_S;
        return { type: 'polled', status: await this.#ask(relay, waitS, signal) };
      }
      case 'fetch': {
        // The relay that prepares pages is there, though nothing comes.
        if (this.#state.at === 'pulling' && this.#state.building) this.#record?.received(0, Date.now());
        const bytes = await relay.page(effect.plan, effect.start, effect.fresh, signal, this.#transfer());
        return { type: 'fetched', page: { bytes, start: effect.start, next: trailerOf(bytes)?.next ?? null } };
      }
      case 'apply': {
        if (this.#state.at === 'pulling' && this.#state.fetching !== null) {
          // The request for the next page leaves first: it comes while this one is written.
          await new Promise((resolve) => setImmediate(resolve));
          if (signal.aborted) throw new TidemarkError('cancelled');
        }
        const { page, squashed } = effect;
        if (endsSpool(page) && replica.spooledBytes() > LONG_APPLY_BYTES) {
          this.#record?.finishing();
          await this.#tellNow();
          if (signal.aborted) throw new TidemarkError('cancelled');
        }
        const applied = replica.applyPage(page.bytes, { squashed });
        if (applied.cursor === null) throw new TidemarkError('page_out_of_order');
        this.#dropped(applied);
        const bytes = page.bytes.length;
        this.#record?.applied(applied, { bytes, changes: trailerOf(page.bytes)?.changes ?? 0 }, Date.now());
        this.#book.applied(replica.tables(), applied, bytes, squashed);
        return { type: 'applied', cursor: applied.cursor, start: startOf(replica) };
      }
      case 'discard': {
        replica.dropSpool();
        const { cursor } = replica.standing();
        if (cursor === null) throw new TidemarkError('page_out_of_order');
        return { type: 'applied', cursor, start: startOf(replica) };
      }
      case 'manifest': {
        this.#record?.preparing(Date.now());
        const manifest = await relay.manifest(this.#oldestCopy(), signal);
        return { type: 'manifest', manifest };
      }
      case 'download': {
        const { manifest } = effect;
        const { here, total } = this.#downloads.standing(manifest);
        this.#gained = false;
        const at = (bytes: number) => {
          this.#gained ||= bytes > here;
          this.#record?.downloading(manifest, bytes, total, Date.now());
          this.#tell();
        };
        at(here);
        await this.#downloads.fetch(relay, manifest, signal, { ...this.#transfer(), at });
        return { type: 'downloaded' };
      }
      case 'install': {
        this.#record?.finishing();
        await this.#tellNow();
        if (signal.aborted) throw new TidemarkError('cancelled');
        const { feed, cursor } = effect.manifest;
        this.#dropped(replica.installSnapshot(this.#downloads.file, { feed, cursor }));
        this.#record?.installed(effect.manifest);
        this.#book.installed(replica.look());
        return { type: 'installed', cursor, start: startOf(replica) };
      }
      case 'compare':
        return this.#compare(replica, relay, effect, signal);
      case 'repair': {
        const found = this.#found;
        if (!found) throw new TidemarkError('snapshot_gone');
        this.#record?.repairing(found.differences);
        await this.#tellNow();
        if (signal.aborted) throw new TidemarkError('cancelled');
        this.#found = null;
        const { tables, dropped } = replica.applyDifference(found, effect.strict);
        this.#dropped({ dropped });
        this.#record?.repaired(tables);
        this.#book.installed(replica.look());
        const { start } = replica.standing();
        return { type: 'repaired', cursor: effect.manifest.cursor, start };
      }
    }
  }

  async #compare(
    replica: Replica,
    relay: RelayClient,
    { manifest, mayCopy }: Extract<Effect, { do: 'compare' }>,
    signal: AbortSignal,
  ): Promise<Event> {
    this.#forgetFound();
    this.#record?.comparing(manifest, Date.now());
    this.#tell();
    const found = replica.compare(manifest);
    try {
      const copyBytes = this.#downloads.standing(manifest).total;
      const compared = (rows: number) => {
        this.#record?.compared(rows, Date.now());
        this.#tell();
      };
      const outcome = await compare(found, {
        ...{ relay, snapshot: manifest, copyBytes, mayCopy, signal, compared },
        transfer: this.#transfer(),
      });
      const { differences, needed } = found;
      if (outcome === 'compared') this.#record?.found(differences);
      if (outcome === 'copy' || !needed || signal.aborted) found.discard();
      else this.#found = found;
      return { type: 'compared', differences, needed, copy: outcome === 'copy' };
    } catch (error) {
      found.discard();
      throw error;
    }
  }

  #forgetFound(): void {
    this.#found?.discard();
    this.#found = null;
  }

  async #ask(relay: RelayClient, waitS: number, signal: AbortSignal): Promise<RelayStatus> {
    const { cursor } = this.#state;
    const asked = Date.now();
    const { scopes } = this.#theReplica().standing();
    const status = await relay.status({ cursor, scopes }, waitS, signal);
    const heard = Date.now();
    // A long poll's answer says nothing of when it was asked.
    this.#book.probed(status, cursor, waitS === 0 ? asked : heard, heard);
    this.#sample(heard);
    return status;
  }

  #transfer(): Transfer {
    return {
      received: (bytes) => this.#record?.received(bytes, Date.now()),
      deadline: (at) => this.#record?.deadline(at),
      squash: (totals) => this.#record?.totals(totals),
    };
  }

  /** Totals of a pull: what the relay counted for the head; for a chosen target, what its list says. */
  #beginPages(plan: PullPlan): void {
    const { probe, waiting } = this.#book;
    const cursor = this.#state.cursor;
    const counted = probe?.status.head?.seq === plan.target && probe.for?.seq === cursor?.seq ? waiting : null;
    const record = this.#record;
    const replica = this.#replica;
    // What is about to be forgotten is not here.
    const kept = replica && (replica.squashing() !== null) === plan.squashed;
    const here = kept ? replica.spooledBytes() : 0;
    record?.pages({ changes: counted?.changes ?? 0, bytes: counted?.bytes ?? 0 }, here, Date.now());
    const relay = this.#relay;
    if (plan.squashed || counted !== null || !relay || cursor === null || plan.target - cursor.seq > LISTED) return;
    const { signal } = this.#abort;
    relay.transactions(cursor, cursor.seq, plan.target - cursor.seq, signal).then(
      ({ transactions }) => {
        const sum = (of: 'changes' | 'bytes') => transactions.reduce((total, each) => total + each[of], 0);
        record?.totals({ changes: sum('changes'), bytes: sum('bytes') });
      },
      (error: unknown) => this.#log('debug', 'totals.not_known', { code: asTidemarkError(error).code }),
    );
  }

  #ended(state: RunState, outcome: Run['outcome'], fault: Run['fault']): void {
    const run = this.#theRecord(state).end(state, outcome, fault, this.#standing());
    this.#record = null;
    this.#forgetFound();
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

  /** What other programs made on tables of the feed and had to go. */
  #dropped({ dropped }: { dropped: string[] }): void {
    if (dropped.length > 0) this.#log('warn', 'objects.dropped', { names: dropped });
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

  /** A copy must not be older than what is here; one that is to save changes must be newer. */
  #oldestCopy(): Cursor | null {
    const { cursor } = this.#state;
    const head = this.#book.probe?.status.head;
    if (cursor === null || head?.epoch !== cursor.epoch) return null;
    const cheaper = 'run' in this.#state && this.#state.run.snapshot === 'cheaper';
    return { epoch: cursor.epoch, seq: seq(Math.min(head.seq, cheaper ? cursor.seq + 1 : cursor.seq)) };
  }

  #theRecord(run: RunState): RunRecord {
    return this.#record ?? new RunRecord(run);
  }

  #theRelay(): RelayClient {
    if (!this.#relay) throw new TidemarkError('not_configured');
    return this.#relay;
  }

  #theReplica(): Replica {
    if (!this.#replica) throw new TidemarkError('not_configured');
    return this.#replica;
  }
}

/** Whether a transaction that was kept aside is whole with this page. */
const endsSpool = ({ start, next }: PageInHand): boolean => start.part > 0 && next !== null && next.seq > start.seq;

function startOf(replica: Replica): Start {
  const { start } = replica.standing();
  const squashed = replica.squashing();
  return squashed === null ? start : { ...start, squashed };
}

export function createAgent(options: AgentOptions, log: Log): Agent {
  return new SyncAgent(options, log);
}
