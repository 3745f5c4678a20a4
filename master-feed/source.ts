import type { SessionAnswer, SessionRequest } from '@tidemark/protocol/api';
import type { SourcePosition } from '@tidemark/protocol/position';
import type { TableSchema } from '@tidemark/protocol/schema';

/**
 * The seam between the feed and a kind of master. A new kind is a folder in `sources/` that implements {@link Source}
 * and passes the suite in contract/source-contract.ts.
 *
 * A source knows one database product: how to check its prerequisites, describe its tables, copy them at a position,
 * stream its log and confirm a position. It decides nothing else. When to take a base copy, which tables to re-read,
 * how transactions become lines and batches, and when to retry are the same for every source. They are in feed-sessions.ts
 * and the folders beside it.
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
  /** A text that changes whenever what {@link describe} returns may change. Cheap: called with every heartbeat. */
  catalogMark(): Promise<string>;
  /**
   * Checks every prerequisite and describes the tables to publish, in their present form. Throws source_not_ready, whose detail
   * names all missing prerequisites at once, each with the statement that provides it.
   */
  describe(wanted: WantedTables): Promise<DescribedTables>;
  /**
   * Makes the log contain every change to these tables. May change their versions. Returns the ids of tables of which the log may so far have left
   * something out. Throws source_not_ready.
   */
  publish(tables: readonly SourceTable[]): Promise<number[]>;
  /** Whether the log contains every change to these tables and to no others. */
  isPublished(tables: readonly SourceTable[]): Promise<boolean>;
  /** Why the log cannot be resumed at the relay's position; null when it can. Throws source_not_ready. */
  obstacle(relay: Pick<SessionAnswer, 'position' | 'head'>): Promise<Obstacle | null>;
  /** The tables that {@link remember} wrote last; null when there are none or they are lost. */
  recall(): Promise<KnownTable[] | null>;
  /**
   * Stores at the master how the tables look that the relay holds. Returns false when the master does not allow it. A
   * source may skip a write that would only save a later comparison.
   */
  remember(tables: readonly KnownTable[]): Promise<boolean>;
  /**
   * Whether a table has, apart from the changes in its log, the same rows as when the relay last held it. False after a
   * rewrite that the log does not contain.
   */
  isUnchanged(table: SourceTable, known: KnownTable): boolean;
  /**
   * Opens a consistent copy of the tables. `base`: the master keeps its log from the copy's position on, and releases the log
   * before it. `re-read`: the master keeps its log from the confirmed position on. Throws slot_in_use, source_lost, {@link BaseCopyNeeded}.
   */
  copyTables(purpose: 'base' | 're-read'): Promise<TableCopy>;
  /** Where the log ends now. */
  logEnd(): Promise<LogEnd>;
  /**
   * Streams the log after `from` into `sink`: whole transactions in commit order. Reading begins when the promise resolves.
   * Throws slot_in_use, source_lost.
   */
  openLog(from: SourcePosition, tables: readonly NumberedTable[], sink: LogSink): Promise<LogReader>;
  /** Closes all connections. Never throws. */
  close(): Promise<void>;
}

/** Which master this is, so that the relay notices another one. */
export type SourceIdentity = SessionRequest['source'];

export interface WantedTables {
  /** The tables that relay.yaml lists, and where (`relay.yaml line 9`); null: all. */
  listed: readonly { name: string; at?: string }[] | null;
  /**
   * Names of the tables that the relay holds. Where relay.yaml lists none, another table that cannot be published is left
   * out instead of stopping these.
   */
  held: ReadonlySet<string>;
}

export interface DescribedTables {
  tables: SourceTable[];
  /** Tables that are left out, each as a sentence with its remedy. */
  leftOut: string[];
}

/** A table of the master, as the feed sees it. Sources add fields of their own. */
export interface SourceTable {
  /** Identifies the table at the master: renaming keeps it, dropping and creating does not. */
  id: number;
  schema: TableSchema;
  /** Identify the columns in the same way, in the order of the schema. */
  columnIds: number[];
  version: TableVersion;
}

/** Shows whether rows changed without a trace in the log. Only the source reads it. */
export type TableVersion = Readonly<Record<string, string>>;

/** How a table looked when the relay last held exactly its rows. */
export interface KnownTable {
  id: number;
  /** Its name at the relay. */
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
  /** Shown to people: `the slot is gone`. */
  why: string;
  /** The master's log was confirmed past the relay's position: the relay lost transactions that terminals may have. */
  setBack: boolean;
}

/** The tables at one position. They stay readable at that position while the master changes them. */
export interface TableCopy {
  position: SourcePosition;
  /** The master's clock when the copy was opened, ISO 8601. */
  takenAt: string;
  /** Describes the tables at that position. Throws source_not_ready. */
  describe(wanted: WantedTables): Promise<DescribedTables>;
  /** Reads all rows, each as the JSON text of a wire row, and pauses while `flow` is full. Returns their number. Throws source_lost. */
  readRows(table: SourceTable, flow: Flow, onRow: (json: string) => void): Promise<number>;
  /** Returns those of `tables` whose read rows may differ from their rows at the position. */
  alteredSince(tables: readonly SourceTable[]): Promise<SourceTable[]>;
  close(): Promise<void>;
}

/** Back-pressure: a source pauses while `full` is true, until `room` resolves. */
export interface Flow {
  readonly full: boolean;
  room(): Promise<void>;
}

/** The end of the log at a moment of the master's clock. */
export interface LogEnd {
  position: SourcePosition;
  /** ISO 8601. */
  at: string;
}

export type RowKind = 'insert' | 'update' | 'delete' | 'partial';

/** Receives the log. A method that throws ends the stream with that error. */
export interface LogSink extends Flow {
  begin(position: SourcePosition, committedAt: string): void;
  /**
   * A row as JSON text: the complete row (`insert`, `update`), its key (`delete`), or an element of a `p` line of the wire
   * (`partial`: the master left out unchanged values).
   */
  row(kind: RowKind, table: NumberedTable, json: string): void;
  truncate(table: NumberedTable): void;
  commit(): void;
  /**
   * Tables, by their ids at the master, whose rows can no longer be followed: they are new, look different than they were
   * described, or the log does not identify their old rows. The source stops sending their changes.
   */
  altered(tableIds: readonly number[], why: string): void;
  /** Outside of transactions: the log was read to the end of this position. Present where it is of interest. */
  reached?(position: SourcePosition): void;
  /** Answers {@link LogReader.ask}, outside of transactions. `current`: the log was read to the end that was asked for. */
  heartbeat(position: SourcePosition, masterTime: string, current: boolean): void;
}

/** A stream that is being read. */
export interface LogReader {
  /** Rejects when the stream ends, for whatever reason other than {@link stop}. Never resolves. */
  readonly failed: Promise<never>;
  /** Asks for one heartbeat as soon as the log was read to `end`, or as far as the master has sent it. */
  ask(end: LogEnd): void;
  /** Confirms to the master that everything up to `position` is on the relay's disk. */
  confirm(position: SourcePosition): void;
  /** Stops reading. Afterwards the source neither calls the sink nor confirms positions. */
  stop(): void;
}

/** The log cannot be followed any further; a base copy replaces it. */
export class BaseCopyNeeded extends Error {
  override readonly name = 'BaseCopyNeeded';
}

/** Reports an event that an operator may want to know. */
export type Log = (event: string, fields?: Record<string, unknown>) => void;
