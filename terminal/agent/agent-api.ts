import type { RelayStatus, TransactionList } from '@tidemark/protocol/api';
import type { Seq } from '@tidemark/protocol/cursor';
import type { Fault } from '@tidemark/protocol/fault';
import type { Mode, Run, Trigger } from '@tidemark/protocol/run';
import type { Facts } from '@tidemark/status/facts';
import type { Secret } from '../relay/secret.ts';
import type { Sample, TableRow } from './contract.ts';

/** What the agent is told to do by whoever runs it. All of it may change while it runs. */
export interface AgentSettings {
  /** Address of the relay, http or https; '' when not set up. */
  relayUrl: string;
  /** Name of the feed; '' when not set up. */
  feed: string;
  token: Secret | null;
  /** What people call the central database and this PC. */
  centralName: string;
  terminalName: string;
  /** Automatic runs every this many ms; null: off. */
  everyMs: number | null;
  /** Whether an automatic run pulls, or only checks. A PC without data only checks: its first copy is a person's choice. */
  automatic: 'sync' | 'check';
}

/** What is fixed while an agent lives. */
export interface AgentOptions {
  /** The replica's file. Its folder must exist. */
  databasePath: string;
  /** Version of this program, for the relay's list of terminals. */
  version: string;
  /** Check once when it starts, or pull if the schedule says that one is due. */
  checkAtStart: boolean;
  /** Follow the relay by long poll and pull whatever comes at once. */
  watch: boolean;
  /** Whether a pull takes a fresh copy by itself when the relay no longer has its changes or began a new history, or fails and leaves it to a person. */
  freshCopy: 'take' | 'ask';
  /** A run gives up when its attempts have failed for this long, ms; null: never, it waits longer and longer (up to 5 minutes). */
  giveUpAfterMs: number | null;
  /** Whether a verify repairs what it finds, or only shows it. Left out: it repairs. */
  repair?: boolean;
  /** A pause that outlived the last process. */
  paused: Facts['paused'];
}

/** One line of the log: an event with fields, never a secret. */
export type Log = (level: 'debug' | 'info' | 'warn' | 'error', event: string, fields: Record<string, unknown>) => void;

export type ConnectionTest = { ok: true; status: RelayStatus; latencyMs: number } | { ok: false; fault: Fault };

/**
 * The sync agent: the only writer of its replica. Nothing of it knows Electron. Made by `createAgent` in agent.ts.
 *
 * Calls return at once; what comes of them is told as facts. Those that return a promise or a list throw
 * TidemarkErrors (`not_configured`, `relay_*`, `db_*`, …).
 */
export interface Agent {
  /** Opens the replica and begins to work. A replica that cannot be opened is told in the facts, and tried again. */
  start(settings: AgentSettings): void;
  /** Ends what is under way at the next safe point, closes the replica. After it nothing of the agent runs. */
  stop(): Promise<void>;
  facts(): Facts;
  /** Calls `listener` when facts have changed, at most about 10 times a second. Returns the function that ends it. */
  onFacts(listener: (facts: Facts) => void): () => void;
  /** Calls `listener` for each run that has ended. */
  onRun(listener: (run: Run) => void): () => void;

  /** Starts a run. While another is under way it does nothing, but a check becomes a pull and a wait for a retry ends. */
  run(mode: Mode, trigger: Trigger, target?: Seq): void;
  cancel(): void;
  /** Stops automatic runs and the one under way, until the time or, with null, until resumed. */
  pause(until: number | null, by: string): void;
  resume(): void;
  /** What the operating system says of the network. */
  setOnline(online: boolean | null): void;
  /** The PC woke from sleep: connections of before are given up. */
  woke(): void;
  /** Takes effect at once. A change of relay, feed or key ends the run under way. */
  changeSettings(settings: AgentSettings): void;

  waiting(after: Seq | null, limit: number): Promise<TransactionList>;
  /** Tables here and at the relay; without an answer of the relay only those here. */
  tables(): Promise<TableRow[]>;
  /** Newest first; `before` is the `startedAt` of the last one of the list before. */
  runs(before: number | null, limit: number): Run[];
  samples(sinceMs: number): Sample[];
}
