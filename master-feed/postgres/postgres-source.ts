import type { SessionAnswer, SessionRequest } from '@tidemark/protocol/api.ts';
import { TidemarkError } from '@tidemark/protocol/errors.ts';
import { sameSchema } from '@tidemark/protocol/schema.ts';
import { LineWriter } from '../line-writer.ts';
import type { Outbox } from '../outbox.ts';
import type { Log, Source } from '../source.ts';
import { copyTable } from './base.ts';
import { qualified, readTables, type SourceTable } from './catalog.ts';
import { type Connection, connect, ident, literal, rows } from './connection.ts';
import { fromPosition, parseLsn, toPosition } from './lsn.ts';
import { type Checked, checkMaster, identify } from './prerequisites.ts';
import { type LogEnd, Stream } from './stream.ts';
import { SchemaChanged, TransactionWriter } from './transaction-writer.ts';

const HEARTBEAT_MS = 5_000;
/** A slot waits for the transactions that are open at the master; after this long we say so. */
const PATIENCE_MS = 5_000;

/** Postgres by logical replication: one slot, one publication, the output plugin pgoutput. */
export class PostgresSource implements Source {
  readonly #url: string;
  readonly #log: Log;
  /** Name of slot and publication: slots take only these characters. */
  readonly #name: string;
  #control: Connection | null = null;
  #replication: Connection | null = null;
  /** Kept over sessions: the master's tables changed under the stream, which only a base can follow. */
  #baseNeeded: string | null = null;

  constructor(url: string, feed: string, log: Log) {
    this.#url = url;
    this.#log = log;
    this.#name = `tidemark_${feed.replaceAll('-', '_')}`;
  }

  async open(): Promise<SessionRequest['source']> {
    this.#control = await connect(this.#url, false);
    return { kind: 'postgres', id: await identify(this.#control.client) };
  }

  async close(): Promise<void> {
    await this.#replication?.end();
    await this.#control?.end();
    this.#replication = null;
    this.#control = null;
  }

  async run(session: SessionAnswer, outbox: Outbox, signal: AbortSignal): Promise<void> {
    const control = this.#need(this.#control);
    const checked = await checkMaster(control.client, session.publish?.map(({ name }) => name) ?? null);
    this.#replication = await connect(this.#url, true);
    const lines = new LineWriter(outbox);
    const published = await this.#publish(control, checked.tables, checked.version);
    const why =
      this.#baseNeeded ??
      (published ? 'the published tables changed' : await this.#whyBase(control, session, checked.tables));
    let tables: { id: number; table: SourceTable }[];
    if (why === null) {
      tables = checked.tables.map((table) => ({
        table,
        id: session.tables.find(({ schema }) => schema.name === table.name)?.id ?? 0,
      }));
    } else {
      this.#log('base', { why });
      tables = await this.#base(why, session, checked, lines, outbox);
      this.#baseNeeded = null;
    }
    await this.#stream(control, tables, lines, outbox, signal);
  }

  /** Brings the publication to the tables; says whether that changed it. */
  async #publish({ client }: Connection, tables: SourceTable[], version: number): Promise<boolean> {
    const name = ident(this.#name);
    const wanted = tables.map(qualified).sort();
    const found = await rows(
      client,
      `SELECT n.nspname AS namespace, c.relname AS relation FROM pg_publication p JOIN pg_publication_rel r ON r.prpubid = p.oid
       JOIN pg_class c ON c.oid = r.prrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE p.pubname = ${literal(this.#name)}`,
    );
    const [exists] = await rows(client, `SELECT 1 FROM pg_publication WHERE pubname = ${literal(this.#name)}`);
    const present = found
      .map((row) => qualified({ namespace: row.namespace ?? '', relation: row.relation ?? '' }))
      .sort();
    if (exists && present.join() === wanted.join()) return false;
    const options =
      version >= 180_000
        ? 'publish_via_partition_root = true, publish_generated_columns = stored'
        : 'publish_via_partition_root = true';
    try {
      if (exists) await client.query(`ALTER PUBLICATION ${name} SET TABLE ${wanted.join(', ')}`);
      else await client.query(`CREATE PUBLICATION ${name} FOR TABLE ${wanted.join(', ')} WITH (${options})`);
    } catch (error) {
      const remedy = `The publication ${this.#name} cannot be made: ${(error as Error).message}. The user needs CREATE on the database and must own the tables; or an owner runs: CREATE PUBLICATION ${name} FOR TABLE ${wanted.join(', ')} WITH (${options});`;
      throw new TidemarkError('source_not_ready', { detail: `- ${remedy}` }, error);
    }
    return true;
  }

  /** Why the stream cannot go on from where the relay is; null when it can. */
  async #whyBase({ client }: Connection, session: SessionAnswer, tables: SourceTable[]): Promise<string | null> {
    const [slot] = await rows(
      client,
      `SELECT confirmed_flush_lsn AS confirmed, wal_status AS status, database, database = current_database() AS here, pg_current_wal_flush_lsn() AS written
       FROM pg_replication_slots WHERE slot_name = ${literal(this.#name)}`,
    );
    // Slots are the cluster's: one of another database is another feed's, and dropping it would end that feed.
    if (slot && slot.here !== 't') {
      const detail = `The slot ${this.#name} belongs to the database ${slot.database}. Give this feed another name, or, if that slot is not needed, run there: SELECT pg_drop_replication_slot('${this.#name}');`;
      throw new TidemarkError('source_not_ready', { detail });
    }
    if (session.position === null) return 'the relay has no data';
    if (!slot) return 'the slot is gone';
    if (slot.status === 'lost') return 'the master dropped the log that the slot needs';
    const position = fromPosition(session.position);
    if (slot.confirmed && parseLsn(slot.confirmed) > position + 1n)
      return 'the slot is ahead of the relay, which was set back';
    if (slot.written && parseLsn(slot.written) < position) return 'the master was set back';
    const same =
      session.tables.length === tables.length &&
      tables.every((table) => session.tables.some(({ schema }) => sameSchema(schema, table.schema)));
    return same ? null : 'tables were altered';
  }

  /** Makes a new slot and sends all rows as they were at its start. */
  async #base(
    why: string,
    session: SessionAnswer,
    checked: Checked,
    lines: LineWriter,
    outbox: Outbox,
  ): Promise<{ id: number; table: SourceTable }[]> {
    const slot = await this.#newSlot();
    const copy = await connect(this.#url, false);
    try {
      await copy.client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
      await copy.client.query(`SET TRANSACTION SNAPSHOT ${literal(slot.snapshot)}`);
      // As they were in that snapshot: what was altered since is told by the stream.
      const names = new Set(checked.tables.map(({ oid }) => oid));
      const tables = (await readTables(copy.client, checked.version >= 180_000)).filter(({ oid }) => names.has(oid));
      const [clock] = await rows(
        copy.client,
        `SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS now`,
      );
      let next = session.nextTableId;
      lines.beginBase(toPosition(slot.start - 1n), clock?.now ?? '', why);
      const numbered: { id: number; table: SourceTable }[] = [];
      for (const table of tables) {
        const id = session.tables.find(({ schema }) => sameSchema(schema, table.schema))?.id ?? next++;
        numbered.push({ id, table });
        lines.declare(id, table.schema);
        const count = await copyTable(copy.client, table, id, lines, outbox);
        this.#log('copied', { table: table.name, rows: count });
      }
      lines.commit();
      await outbox.drain();
      return numbered;
    } catch (error) {
      // Half a base is none: the slot would keep the master's log for nothing.
      this.#baseNeeded = this.#baseNeeded ?? 'the last base was not finished';
      throw error;
    } finally {
      await copy.end();
    }
  }

  /** Drops the old slot and makes a new one, which exports the snapshot that it begins at. */
  async #newSlot(): Promise<{ start: bigint; snapshot: string }> {
    const control = this.#need(this.#control).client;
    const { client } = this.#need(this.#replication);
    const [old] = await rows(
      control,
      `SELECT active_pid FROM pg_replication_slots WHERE slot_name = ${literal(this.#name)}`,
    );
    if (old?.active_pid) throw new TidemarkError('slot_in_use', { slot: this.#name });
    if (old) await control.query(`SELECT pg_drop_replication_slot(${literal(this.#name)})`);
    const waiting = setTimeout(() => this.#log('waiting-for-open-transactions', { slot: this.#name }), PATIENCE_MS);
    try {
      const answer = await client.query(`CREATE_REPLICATION_SLOT ${this.#name} LOGICAL pgoutput EXPORT_SNAPSHOT`);
      const [made] = answer.rows as { consistent_point: string; snapshot_name: string }[];
      if (!made) throw new TidemarkError('source_lost', { detail: 'the slot was not made' });
      return { start: parseLsn(made.consistent_point), snapshot: made.snapshot_name };
    } finally {
      clearTimeout(waiting);
    }
  }

  async #stream(
    control: Connection,
    tables: { id: number; table: SourceTable }[],
    lines: LineWriter,
    outbox: Outbox,
    signal: AbortSignal,
  ): Promise<void> {
    const replication = this.#need(this.#replication);
    const { durable } = outbox;
    if (durable === null) throw new Error('a stream begins where the relay is');
    const from = fromPosition(durable) + 1n;
    let fail: (error: unknown) => void = () => undefined;
    const failed = new Promise<never>((_, reject) => {
      fail = reject;
    });
    // It is waited for below; a fault before that is not lost.
    failed.catch(() => undefined);
    const stream = new Stream(this.#name, this.#name, from, new TransactionWriter(lines, tables), outbox, fail);
    const beat = async () => stream.ask(await logEnd(control));
    const timer = setInterval(() => void beat().catch(fail), HEARTBEAT_MS);
    const stopped = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
    try {
      stream.start(replication.client);
      this.#log('streaming', { slot: this.#name, from: toPosition(from), tables: tables.length });
      await Promise.race([beat(), failed]);
      await Promise.race([failed, stopped, replication.lost, control.lost]);
      await outbox.drain();
      stream.confirm(false);
    } catch (error) {
      if (
        !(error instanceof SchemaChanged) &&
        !(error instanceof TidemarkError && error.cause instanceof SchemaChanged)
      )
        throw error;
      this.#baseNeeded = error.message;
      throw new TidemarkError('source_lost', { detail: `${error.message}: a new base is taken` }, error);
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

/** Where the master's log ends now, by its clock. */
async function logEnd({ client }: Connection): Promise<LogEnd> {
  const [row] = await rows(
    client,
    `SELECT pg_current_wal_flush_lsn() AS lsn, to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS now`,
  );
  return { lsn: parseLsn(row?.lsn ?? ''), at: row?.now ?? '' };
}
