import type { SessionAnswer } from '@tidemark/protocol/api';
import { TidemarkError } from '@tidemark/protocol/errors';
import type { SourcePosition } from '@tidemark/protocol/position';
import {
  BaseCopyNeeded,
  type DescribedTables,
  type Flow,
  type KnownTable,
  type Log,
  type LogEnd,
  type LogReader,
  type LogSink,
  type NumberedTable,
  type Obstacle,
  type Source,
  type SourceIdentity,
  type TableCopy,
  type WantedTables,
} from '../../source.ts';
import { type PostgresTable, type PostgresVersion, readFingerprint } from './catalog.ts';
import { type Connection, connect } from './connection.ts';
import { describeTables } from './described-tables.ts';
import { isSameVersion, isWorthWriting, readKnown, writeKnown } from './known-tables.ts';
import { logEnd } from './log-end.ts';
import { toPosition } from './lsn.ts';
import { atMaster } from './master-error.ts';
import { identify } from './prerequisites.ts';
import { PUBLISHES_GENERATED, publish, publishes, readPublication } from './publication.ts';
import { RowDecoder } from './row-decoder.ts';
import { createSlot, dropSlot, noSlotLeft, type Slot, slotObstacle, slotReleased } from './slot.ts';
import { Stream } from './stream.ts';
import { alteredSince, connectInSnapshot, copyRows } from './table-copy.ts';

const NONE_LEFT = 'the master has no free replication slot or connection for a re-read';

/**
 * Postgres through logical replication: one slot, one publication, the output plugin pgoutput.
 *
 * A session uses one connection for the catalogue and the clock, one for the stream, and one or two more while it
 * copies tables. `close` closes them all.
 */
export class PostgresSource implements Source {
  readonly #url: string;
  readonly #log: Log;
  /** Name of slot and publication. Slot names cannot contain hyphens, so underscores replace them. */
  readonly #name: string;
  #control: Connection | null = null;
  #replication: Connection | null = null;
  #serverVersion = 0;
  /**
   * OIDs of relations that are not published. Another user's publication may contain them, so the log may contain their
   * changes.
   */
  #unpublished: ReadonlySet<number> = new Set();
  /** The content of the publication's comment when it was last read or written. */
  #stored: readonly KnownTable[] | null = null;

  constructor(url: string, feed: string, log: Log) {
    this.#url = url;
    this.#log = log;
    this.#name = `tidemark_${feed.replaceAll('-', '_')}`;
  }

  async open(): Promise<SourceIdentity> {
    this.#control = await connect(this.#url, false);
    return { kind: 'postgres', id: await atMaster(() => identify(this.#client)) };
  }

  async close(): Promise<void> {
    await this.#replication?.end();
    await this.#control?.end();
    this.#replication = null;
    this.#control = null;
  }

  catalogMark(): Promise<string> {
    return atMaster(() => readFingerprint(this.#client));
  }

  async describe(wanted: WantedTables): Promise<DescribedTables> {
    const { version, unpublished, ...described } = await atMaster(() =>
      describeTables(this.#client, wanted, this.#name),
    );
    this.#serverVersion = version;
    this.#unpublished = unpublished;
    return described;
  }

  publish(tables: readonly PostgresTable[]): Promise<number[]> {
    return atMaster(() => publish(this.#client, this.#name, tables, this.#serverVersion));
  }

  async isPublished(tables: readonly PostgresTable[]): Promise<boolean> {
    return publishes(await atMaster(() => readPublication(this.#client, this.#name)), tables);
  }

  async obstacle(relay: Pick<SessionAnswer, 'position' | 'head'>): Promise<Obstacle | null> {
    return atMaster(async () => {
      // The slot's confirmed position can advance until the previous connection has ended.
      await slotReleased(this.#client, this.#name);
      // Connect before a re-read opens more connections, because the master may have only one left.
      await this.#connectReplication();
      return slotObstacle(this.#client, this.#name, relay);
    });
  }

  async recall(): Promise<KnownTable[] | null> {
    const known = await atMaster(() => readKnown(this.#client, this.#name));
    this.#stored = known;
    return known;
  }

  async remember(tables: readonly KnownTable[]): Promise<boolean> {
    if (this.#stored !== null && !isWorthWriting(this.#stored, tables)) return true;
    const isStored = await atMaster(() => writeKnown(this.#client, this.#name, tables));
    this.#stored = isStored ? tables : null;
    return isStored;
  }

  isUnchanged(table: PostgresTable, known: KnownTable): boolean {
    return isSameVersion(known.version as PostgresVersion, table.version);
  }

  async copyTables(purpose: 'base' | 're-read'): Promise<TableCopy> {
    return atMaster(() => (purpose === 'base' ? this.#baseCopy() : this.#rereadCopy()));
  }

  logEnd(): Promise<LogEnd> {
    return atMaster(() => logEnd(this.#need(this.#control)));
  }

  async openLog(
    from: SourcePosition,
    tables: readonly NumberedTable[],
    ignored: ReadonlySet<number>,
    sink: LogSink,
  ): Promise<LogReader> {
    const replication = await this.#connectReplication();
    const numbered = tables as readonly (NumberedTable & { table: PostgresTable })[];
    // The publication may contain tables that the feed does not follow, and that it may not remove.
    const dropped = new Set([...ignored, ...this.#unpublished]);
    const stream = new Stream(this.#name, this.#name, from, new RowDecoder(sink, numbered, dropped), sink);
    stream.start(replication.client);
    const failed = Promise.race([stream.failed, replication.lost, this.#need(this.#control).lost]);
    // The caller awaits this promise later. The handler prevents an unhandled rejection until then.
    failed.catch(() => undefined);
    return {
      failed,
      ask: (end) => stream.ask(end),
      confirm: (position) => stream.confirm(position),
      stop: () => stream.stop(),
    };
  }

  /** Replaces the slot, so that the master keeps its log from the start of the new slot. */
  async #baseCopy(): Promise<TableCopy> {
    const replication = await this.#connectReplication();
    await dropSlot(this.#client, this.#name);
    try {
      return await this.#copyAt(await createSlot(replication.client, this.#name, false, this.#log), []);
    } catch (error) {
      // 53400: all replication slots are in use.
      if ((error as { code?: string }).code === '53400') throw await noSlotLeft(this.#client);
      throw error;
    }
  }

  /** Uses a temporary slot, so that the permanent one keeps its position. */
  async #rereadCopy(): Promise<TableCopy> {
    let second: Connection | null = null;
    try {
      second = await connect(this.#url, true);
      const slot = await createSlot(second.client, `${this.#name}_${process.pid}`, true, this.#log);
      return await this.#copyAt(slot, [second]);
    } catch (error) {
      await second?.end();
      if (isNoneLeft(error)) throw new BaseCopyNeeded(NONE_LEFT);
      throw error;
    }
  }

  /** Opens the copy at the slot's snapshot. `others` are connections to close with the copy. */
  async #copyAt(slot: Slot, others: readonly Connection[]): Promise<TableCopy> {
    let copy = await connectInSnapshot(this.#url, slot.snapshot);
    // A COPY that fails ends its transaction or its connection. The next table is read in another one.
    let hasFailed = false;
    const reconnect = async () => {
      await copy.end();
      copy = await connectInSnapshot(this.#url, slot.snapshot);
      hasFailed = false;
    };
    try {
      return {
        position: toPosition(slot.start - 1n),
        takenAt: (await logEnd(copy)).at,
        describe: (wanted: WantedTables) => atMaster(() => describeTables(copy.client, wanted, this.#name)),
        readRows: async (table: PostgresTable, flow: Flow, onRow: (json: string) => void) => {
          if (hasFailed) await atMaster(reconnect);
          hasFailed = true;
          const rows = await copyRows(copy.client, table, flow, onRow);
          hasFailed = false;
          return rows;
        },
        alteredSince: (tables: readonly PostgresTable[]) =>
          atMaster(() => alteredSince(this.#client, tables, this.#serverVersion >= PUBLISHES_GENERATED)),
        close: async () => {
          await copy.end();
          for (const other of others) await other.end();
        },
      } as TableCopy;
    } catch (error) {
      await copy.end();
      throw error;
    }
  }

  async #connectReplication(): Promise<Connection> {
    this.#replication ??= await connect(this.#url, true);
    return this.#replication;
  }

  get #client() {
    return this.#need(this.#control).client;
  }

  #need(connection: Connection | null): Connection {
    if (!connection) throw new TidemarkError('source_lost', { detail: 'not connected' });
    return connection;
  }
}

/** Reports whether the master has no free slot or connection left. */
function isNoneLeft(error: unknown): boolean {
  const cause = error instanceof TidemarkError ? error.cause : error;
  const { code } = (cause ?? {}) as { code?: string };
  return code === '53400' || code === '53300';
}
