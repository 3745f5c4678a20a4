import type { SessionAnswer, SessionRequest } from '@tidemark/protocol/api';
import { TidemarkError } from '@tidemark/protocol/errors';
import type { SourcePosition } from '@tidemark/protocol/position';
import type { TableSchema } from '@tidemark/protocol/schema';
import type { SetAsideReason } from '@tidemark/protocol/trouble';

/**
 * The interface between the feed and a kind of master. To add a kind, add a folder in `sources/` that implements
 * {@link Source} and passes the suite in contract/source-contract.ts.
 *
 * A source implements these operations for one database product: check prerequisites, describe tables, copy them at a
 * position, stream the log and confirm a position. It makes no other decisions. Code that all sources share decides
 * when to take a base copy, which tables to re-read, how to build lines and batches, and when to retry. It is in
 * feed-sessions.ts and the folders next to it.
 *
 * Order of calls in one session: open, catalogMark, describe, publish, obstacle, recall, then copyTables or openLog or
 * both, then close. After any error the feed closes the session and begins a new one with open.
 *
 * A source must never
 * - confirm a position that {@link LogReader.confirm} was not given;
 * - keep anything on the feed's machine;
 * - lock a table of the master.
 */
export interface Source {
  /** Connects. Throws source_unreachable, source_denied, source_lost, source_not_ready, config_invalid. */
  open(): Promise<SourceIdentity>;
  /**
   * Returns a text that changes whenever the result of {@link describe} may have changed. Must be cheap: the feed calls
   * it with every heartbeat.
   */
  catalogMark(): Promise<string>;
  /**
   * Checks every prerequisite and describes the tables to publish in their current form. Throws source_not_ready for a
   * problem that concerns all tables. While the relay holds no table, throws it for the problems of single tables too.
   * Its detail lists everything that is missing at once, each with the statement that provides it.
   */
  describe(wanted: WantedTables): Promise<DescribedTables>;
  /**
   * Makes the log contain every change to these tables. May change their versions. Returns the ids of tables for which
   * the log may be missing earlier changes. Throws source_not_ready.
   */
  publish(tables: readonly SourceTable[]): Promise<number[]>;
  /** Reports whether the log contains every change to these tables and none to other tables. */
  isPublished(tables: readonly SourceTable[]): Promise<boolean>;
  /** Returns why the log cannot be resumed at the relay's position, or null if it can. Throws source_not_ready. */
  obstacle(relay: Pick<SessionAnswer, 'position' | 'head'>): Promise<Obstacle | null>;
  /** Returns the tables from the last call of {@link remember}, or null if none are stored. */
  recall(): Promise<KnownTable[] | null>;
  /**
   * Stores at the master the descriptions of the tables that the relay holds. Returns false if the master does not
   * allow it. A source may skip a write whose only effect would be to save a later comparison.
   */
  remember(tables: readonly KnownTable[]): Promise<boolean>;
  /**
   * Reports whether the log contains every change of a table's rows since the relay last held them. Returns false after
   * a rewrite, which the log does not contain.
   */
  isUnchanged(table: SourceTable, known: KnownTable): boolean;
  /**
   * Opens a consistent copy of the tables. With `base`, the master keeps its log from the copy's position and releases
   * earlier log. With `re-read`, the master keeps its log from the confirmed position. Throws slot_in_use, source_lost,
   * {@link BaseCopyNeeded}.
   */
  copyTables(purpose: 'base' | 're-read'): Promise<TableCopy>;
  /** Returns the current end of the log. */
  logEnd(): Promise<LogEnd>;
  /**
   * Streams the log after `from` into `sink`, as complete transactions in commit order. Reading begins when the promise
   * resolves. Omits changes of the tables in `ignored`, and does not report these tables as altered. Throws slot_in_use,
   * source_lost, {@link TableFault}.
   */
  openLog(
    from: SourcePosition,
    tables: readonly NumberedTable[],
    ignored: ReadonlySet<number>,
    sink: LogSink,
  ): Promise<LogReader>;
  /** Closes all connections. Never throws. */
  close(): Promise<void>;
}

/** Identifies the master, so that the relay detects a change to another one. */
export type SourceIdentity = SessionRequest['source'];

export interface WantedTables {
  /** The tables that relay.yaml lists, each with its place (`relay.yaml line 9`). Null for all tables. */
  listed: readonly NamedTable[] | null;
  /** With all tables: the tables to leave out. `*` in a name matches any text. */
  except?: readonly NamedTable[];
  /** With all tables: the tables that relay.yaml filters. While one does not exist, no new table may be published. */
  filtered?: readonly NamedTable[];
  /** Names of the tables that the relay holds. */
  held: ReadonlySet<string>;
}

export interface NamedTable {
  name: string;
  at?: string;
}

export interface DescribedTables {
  /** The tables that can be published. */
  tables: SourceTable[];
  /** Tables that cannot be published, at most one entry for each. */
  troubles: SourceTrouble[];
  /** Sentences about columns and relations that are not replicated by design: generated columns, unlogged tables. */
  notes: string[];
}

/** Why a table cannot be published, and the remedy for an administrator. */
export interface SourceTrouble {
  /** {@link SourceTable.id}. Null if there is no such table. */
  id: number | null;
  /** The table's name at the relay. */
  table: string;
  reason: SetAsideReason;
  /** The cause, as a sentence. It never contains a secret. */
  detail: string;
  /** The statement to run, or the change to make. */
  todo: string;
}

/** A table of the master, as the feed sees it. Sources may add fields. */
export interface SourceTable {
  /** Identifies the table at the master. A renamed table keeps its id; a re-created table gets a new one. */
  id: number;
  schema: TableSchema;
  /** Ids of the columns, in the order of the schema. They follow the same rule as {@link id}. */
  columnIds: number[];
  version: TableVersion;
}

/** Changes whenever rows may have changed in a way that the log does not contain. Only the source interprets it. */
export type TableVersion = Readonly<Record<string, string>>;

/** The description of a table at the time when the relay last held exactly its rows. */
export interface KnownTable {
  id: number;
  /** The table's name at the relay. */
  name: string;
  columnIds: number[];
  version: TableVersion;
}

/** A table and the number under which the relay knows this version of its schema. */
export interface NumberedTable {
  number: number;
  table: SourceTable;
}

export interface Obstacle {
  /** The reason, for people: `the slot is gone`. */
  why: string;
  /**
   * Whether the feed confirmed a position to the master that is past the relay's. If so, the relay has lost
   * transactions that terminals may have.
   */
  setBack: boolean;
}

/**
 * A consistent copy of the tables at one position. They remain readable at that position while the master changes them.
 */
export interface TableCopy {
  position: SourcePosition;
  /** When the copy was opened, by the master's clock, in ISO 8601. */
  takenAt: string;
  /** Describes the tables at that position. Throws source_not_ready. */
  describe(wanted: WantedTables): Promise<DescribedTables>;
  /**
   * Reads all rows of a table, each as the JSON text of a wire row, and pauses while `flow` is full. Returns the number
   * of rows. Throws source_lost, and {@link TableFault} if only this table cannot be read; the other tables can
   * still be copied, even when `onRow` throws it.
   */
  readRows(table: SourceTable, flow: Flow, onRow: (json: string) => void): Promise<number>;
  /**
   * Returns the tables that were altered after the copy's position, so that the rows read may differ from the rows at
   * that position.
   */
  alteredSince(tables: readonly SourceTable[]): Promise<SourceTable[]>;
  close(): Promise<void>;
}

/** Back-pressure: while `full` is true, a source pauses until `room` resolves. */
export interface Flow {
  readonly full: boolean;
  room(): Promise<void>;
}

/** The end of the log at one time of the master's clock. */
export interface LogEnd {
  position: SourcePosition;
  /** When the log ended here, by the master's clock, in ISO 8601. */
  at: string;
}

export type RowKind = 'insert' | 'update' | 'delete' | 'partial';

/** Receives the log. A method that throws ends the stream with that error. */
export interface LogSink extends Flow {
  begin(position: SourcePosition, committedAt: string): void;
  /**
   * Receives a row as JSON text: the complete row for `insert` and `update`, its key for `delete`, or an element of a
   * `p` line for `partial`, when the master omitted unchanged values.
   */
  row(kind: RowKind, table: NumberedTable, json: string): void;
  truncate(table: NumberedTable): void;
  commit(): void;
  /**
   * Receives the ids of tables whose changes can no longer be followed: the table is new, differs from its description,
   * or the log does not identify its old rows. The source sends no further changes of them.
   */
  altered(tableIds: readonly number[], why: string): void;
  /** Called between transactions, when the log has been read up to this position. Optional. */
  reached?(position: SourcePosition): void;
  /**
   * Answers {@link LogReader.ask}, between transactions. `current` is true if the log was read up to the requested end.
   */
  heartbeat(position: SourcePosition, masterTime: string, current: boolean): void;
}

/** An open stream of the log. */
export interface LogReader {
  /** Rejects when the stream ends for any reason except {@link stop}. Never resolves. */
  readonly failed: Promise<never>;
  /**
   * Requests one heartbeat, as soon as the log has been read up to `end` or up to the last position that the master has
   * sent.
   */
  ask(end: LogEnd): void;
  /** Confirms to the master that everything up to `position` is on the relay's disk. */
  confirm(position: SourcePosition): void;
  /** Stops reading. Afterwards the source neither calls the sink nor confirms positions. */
  stop(): void;
}

/** Thrown when one table cannot be followed, so that it must be set aside. The other tables are not affected. */
export class TableFault extends TidemarkError {
  readonly trouble: SourceTrouble;

  constructor(trouble: SourceTrouble, cause?: unknown) {
    super('source_unsupported', { detail: trouble.detail.replace(/\.$/, '') }, cause);
    this.trouble = trouble;
  }
}

/** Thrown when the log cannot be followed further, so that a base copy is needed. */
export class BaseCopyNeeded extends Error {
  override readonly name = 'BaseCopyNeeded';
}

/** Logs an event for operators. */
export type Log = (event: string, fields?: Record<string, unknown>) => void;
