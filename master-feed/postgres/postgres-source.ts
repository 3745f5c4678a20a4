import type { SessionAnswer, SessionRequest } from '@tidemark/protocol/api';
import { TidemarkError } from '@tidemark/protocol/errors';
import { sameSchema } from '@tidemark/protocol/schema';
import { LineWriter } from '../line-writer.ts';
import type { Outbox } from '../outbox.ts';
import type { Log, Source } from '../source.ts';
import { alteredSince, connectIn, copyTable } from './base.ts';
import { readFingerprint, type SourceTable } from './catalog.ts';
import { type Connection, connect } from './connection.ts';
import { type HeldTable, held, readHeld, writeHeld } from './held-tables.ts';
import { logEnd } from './log-end.ts';
import { fromPosition, toPosition } from './lsn.ts';
import { type Checked, checkMaster, identify } from './prerequisites.ts';
import { publish } from './publication.ts';
import { resync } from './resync.ts';
import { type Numbered, planResync, type ResyncPlan, type Standing } from './resync-plan.ts';
import { dropSlot, freed, makeSlot, SET_BACK, whyNotFrom } from './slot.ts';
import { PublicationMissing, Stream } from './stream.ts';
import { TableWatch } from './table-watch.ts';
import { SchemaChanged, TransactionWriter } from './transaction-writer.ts';

/** Tests shorten it: a relay is known to be caught up only by a heartbeat. */
const HEARTBEAT_MS = Number(process.env.TIDEMARK_HEARTBEAT_MS ?? 5_000);

/** One session's way to the relay. */
interface Run {
  session: SessionAnswer;
  checked: Checked;
  /** What the catalogue said of itself before it was read. */
  fingerprint: string;
  lines: LineWriter;
  outbox: Outbox;
  signal: AbortSignal;
}

/** Postgres by logical replication: one slot, one publication, the output plugin pgoutput. */
export class PostgresSource implements Source {
  readonly #url: string;
  readonly #log: Log;
  /** Name of slot and publication: slots take only these characters. */
  readonly #name: string;
  #control: Connection | null = null;
  #replication: Connection | null = null;
  /** Kept over sessions: why the stream cannot go on. */
  #baseNeeded: string | null = null;
  /** Kept over sessions: tables to be read anew, by OID. */
  readonly #suspects = new Set<number>();
  /** Kept over sessions for a publication on which nothing can be written: what the relay holds. */
  #held: HeldTable[] | null = null;

  constructor(url: string, feed: string, log: Log) {
    this.#url = url;
    this.#log = log;
    this.#name = `tidemark_${feed.replaceAll('-', '_')}`;
  }

  async open(): Promise<Pick<SessionRequest, 'source' | 'base'>> {
    this.#control = await connect(this.#url, false);
    const source = { kind: 'postgres' as const, id: await identify(this.#control.client) };
    const why = this.#baseNeeded;
    return why === null ? { source } : { source, base: { setBack: why === SET_BACK } };
  }

  async close(): Promise<void> {
    await this.#replication?.end();
    await this.#control?.end();
    this.#replication = null;
    this.#control = null;
  }

  async run(session: SessionAnswer, outbox: Outbox, signal: AbortSignal): Promise<void> {
    try {
      await this.#run(session, outbox, signal);
    } catch (error) {
      const missing = causeOf(error);
      if (!(missing instanceof PublicationMissing)) throw error;
      // The slot would tell the same each time.
      this.#baseNeeded = 'the publication was dropped for a while';
      this.#log('publication-missing', { why: missing.message });
    }
  }

  async #run(session: SessionAnswer, outbox: Outbox, signal: AbortSignal): Promise<void> {
    const { client } = this.#need(this.#control);
    const fingerprint = await readFingerprint(client);
    const checked = await checkMaster(client, session.publish, this.#name, heldNames(session));
    if (checked.leftOut.length > 0) this.#log('not-ready', { detail: checked.leftOut.join('\n') });
    for (const oid of await publish(client, this.#name, checked.tables, checked.version)) this.#suspects.add(oid);
    await freed(client, this.#name);
    this.#replication = await connect(this.#url, true);
    const run: Run = { session, checked, fingerprint, lines: new LineWriter(outbox), outbox, signal };
    const found = await whyNotFrom(client, this.#name, session);
    const why = found === SET_BACK ? found : (this.#baseNeeded ?? found);
    if (why !== null && session.position !== null) {
      // It forgets its position first: a base that is cut short must not look like a relay that was set back.
      this.#baseNeeded = why;
      return;
    }
    if (why !== null) {
      this.#log('base', { why });
      await this.#stream(run, await this.#base(why, run));
      return;
    }
    this.#held = (await readHeld(client, this.#name)) ?? this.#held;
    const { kept, loads, gone } = this.#plan(checked.tables, standingOf(session));
    if (loads.length > 0 || gone.length > 0 || this.#suspects.size > 0) {
      await this.#resync(run);
      return;
    }
    await this.#stream(run, kept);
  }

  #plan(tables: SourceTable[], standing: Pick<Standing, 'relay' | 'nextTableId'>): ResyncPlan {
    return planResync(tables, { ...standing, held: this.#held, suspects: this.#suspects });
  }

  /** Remembers what the relay holds. */
  async #hold(tables: HeldTable[]): Promise<void> {
    this.#held = tables;
    const written = await writeHeld(this.#need(this.#control).client, this.#name, tables);
    if (!written)
      this.#log('comment-not-written', {
        publication: this.#name,
        why: 'it is not the own one: each start of the feed reads all tables anew',
      });
  }

  /** The tables are as they were, but for what tells it. Files alone change with each TRUNCATE: that is not worth a write. */
  async #refresh(tables: HeldTable[]): Promise<void> {
    const before = new Map(this.#held?.map(({ oid, version }) => [oid, version.attributes]));
    if (tables.some(({ oid, version }) => before.get(oid) !== version.attributes)) await this.#hold(tables);
    else this.#held = tables;
  }

  /** Makes a new slot and sends all rows as they were at its start. */
  async #base(why: string, { session, checked, lines, outbox }: Run): Promise<Numbered[]> {
    const control = this.#need(this.#control).client;
    // From here on the relay may hold any of them anyhow.
    await this.#hold([]);
    await dropSlot(control, this.#name);
    const slot = await makeSlot(this.#need(this.#replication).client, this.#name, false, this.#log);
    const copy = await connectIn(this.#url, slot.snapshot);
    try {
      // As they were in that snapshot: what was altered since is told by the stream.
      const published = new Set(checked.tables.map(({ oid }) => oid));
      const tables = (await checkMaster(copy.client, session.publish, this.#name, heldNames(session))).tables.filter(
        ({ oid }) => published.has(oid),
      );
      let next = session.nextTableId;
      lines.beginBase(toPosition(slot.start - 1n), (await logEnd(copy)).at, why);
      const numbered: Numbered[] = [];
      for (const table of tables) {
        const id = session.tables.find(({ schema }) => sameSchema(schema, table.schema))?.id ?? next++;
        numbered.push({ id, table });
        lines.declare(id, table.schema);
        const rows = await copyTable(copy.client, table, id, lines, outbox);
        this.#log('copied', { table: table.name, rows });
      }
      const unsure = await alteredSince(control, tables, checked.version);
      lines.commit();
      await outbox.drain();
      this.#baseNeeded = null;
      this.#suspects.clear();
      await this.#hold(tables.filter((table) => !unsure.includes(table)).map(held));
      return numbered;
    } catch (error) {
      // Half a base is none: the slot would keep the master's log for nothing.
      this.#baseNeeded ??= 'the last base was not finished';
      throw error;
    } finally {
      await copy.end();
    }
  }

  /** Reads the altered tables anew. The next session goes on from there. */
  async #resync({ session, checked, lines, outbox, signal }: Run): Promise<void> {
    const url = this.#url;
    const [name, log] = [this.#name, this.#log];
    const [control, replication] = [this.#need(this.#control), this.#need(this.#replication)];
    const plan = (tables: SourceTable[]) => this.#plan(tables, standingOf(session));
    const begin = ({ kept }: ResyncPlan) => this.#hold(kept.map(({ table }) => held(table)));
    const published = new Set(checked.tables.map(({ oid }) => oid));
    try {
      const deps = { url, name, control, replication, lines, outbox, log, signal, plan, begin };
      const tables = await resync(deps, published, (client) =>
        checkMaster(client, session.publish, this.#name, heldNames(session)),
      );
      if (tables === null) return;
      this.#suspects.clear();
      await this.#hold(tables.map(held));
    } catch (error) {
      if (!isNoneLeft(error)) throw error;
      this.#baseNeeded = 'the master has no slot or connection left for reading altered tables alone';
      throw new TidemarkError('source_lost', { detail: this.#baseNeeded }, error);
    }
  }

  /** Streams until the signal is aborted or tables of the master are found altered. */
  async #stream(run: Run, tables: Numbered[]): Promise<void> {
    const { session, fingerprint, lines, outbox, signal } = run;
    const control = this.#need(this.#control);
    const replication = this.#need(this.#replication);
    const { durable } = outbox;
    if (durable === null) throw new Error('a stream begins where the relay is');
    const from = fromPosition(durable) + 1n;
    const ended = Promise.withResolvers<void>();
    // It is waited for below; a fault before that is not lost.
    ended.promise.catch(() => undefined);
    const stream = new Stream(this.#name, this.#name, from, new TransactionWriter(lines, tables), outbox, ended.reject);
    const watch = new TableWatch(
      {
        client: control.client,
        publication: this.#name,
        listed: session.publish,
        log: this.#log,
        plan: (found, standing) => this.#plan(found, standing),
        refresh: (found) => this.#refresh(found.map(held)),
      },
      tables,
      fingerprint,
    );
    const beat = async () => {
      const end = await logEnd(control);
      // Up to date is what has been read to the end, with the tables as they are.
      if (await watch.look()) ended.resolve();
      else stream.ask(end);
    };
    const timer = setInterval(() => void beat().catch(ended.reject), HEARTBEAT_MS);
    signal.addEventListener('abort', () => ended.resolve(), { once: true });
    try {
      stream.start(replication.client);
      this.#log('streaming', { slot: this.#name, from: toPosition(from), tables: tables.length });
      await Promise.race([beat(), ended.promise]);
      await Promise.race([ended.promise, replication.lost, control.lost]);
      await outbox.drain();
      stream.confirm(false);
    } catch (error) {
      const changed = schemaChanged(error);
      if (!changed) throw error;
      for (const oid of changed.oids) this.#suspects.add(oid);
      this.#log('altered', { why: changed.message });
    } finally {
      stream.end();
      clearInterval(timer);
    }
  }

  #need(connection: Connection | null): Connection {
    if (!connection) throw new TidemarkError('source_lost', { detail: 'not connected' });
    return connection;
  }
}

const standingOf = ({ tables, nextTableId }: SessionAnswer) => ({ relay: tables, nextTableId });

const causeOf = (error: unknown): unknown => (error instanceof TidemarkError ? error.cause : error);

function schemaChanged(error: unknown): SchemaChanged | null {
  const inner = causeOf(error);
  return inner instanceof SchemaChanged ? inner : null;
}

const heldNames = ({ tables }: SessionAnswer) => new Set(tables.map(({ schema }) => schema.name));

/** Whether the master refused a further slot or connection. */
function isNoneLeft(error: unknown): boolean {
  const { code } = (causeOf(error) ?? {}) as { code?: string };
  return code === '53400' || code === '53300';
}
