import type { RelayStatus, TransactionList } from '@tidemark/protocol/api';
import type { Seq } from '@tidemark/protocol/cursor';
import type { Fault } from '@tidemark/protocol/fault';
import type { Mode, Run, Trigger } from '@tidemark/protocol/run';
import type { Facts } from '@tidemark/status/facts';
import type { Secret } from '../relay/secret.ts';
import type { Sample, TableRow } from './contract.ts';

/** Settings of an agent. All of them may change while it runs. */
export interface AgentSettings {
  /** Address of the relay, http or https; '' when not set up. */
  relayUrl: string;
  /** Name of the feed; '' when not set up. */
  feed: string;
  token: Secret | null;
  /** Display names of the central database and of this PC. */
  centralName: string;
  terminalName: string;
  /** Automatic runs every this many ms; null: off. */
  everyMs: number | null;
  /** Whether an automatic run pulls, or only checks. A PC without data only checks: its first copy is a person's choice. */
  automatic: 'sync' | 'check';
}

/** Options that stay the same while an agent lives. */
export interface AgentOptions {
  /** The replica's file. Its folder must exist. */
  databasePath: string;
  /** Version of this program, for the relay's list of terminals. */
  version: string;
  /** Check once at the start, or pull when the schedule says that a pull is due. */
  checkAtStart: boolean;
  /** Follow the relay by long polls, and pull changes as they arrive. */
  watch: boolean;
  /** Whether a pull downloads a snapshot when the relay no longer keeps the changes it needs, or has a new history; or fails, so that a person decides. */
  freshCopy: 'take' | 'ask';
  /** A run gives up when its attempts have failed for this long, ms; null: never. Waits between attempts grow up to 5 minutes. */
  giveUpAfterMs: number | null;
  /** Whether a verify repairs differences, or only reports them. Default: it repairs. */
  repair?: boolean;
  /** A pause that outlived the previous process. */
  paused: Facts['paused'];
}

/** One line of the log: an event with fields, never a secret. */
export type Log = (level: 'debug' | 'info' | 'warn' | 'error', event: string, fields: Record<string, unknown>) => void;

export type ConnectionTest = { ok: true; status: RelayStatus; latencyMs: number } | { ok: false; fault: Fault };

/**
 * The agent of one replica, and its only writer. It knows nothing of Electron. `createAgent` in agent.ts creates it.
 *
 * Calls return at once, and their results appear in the facts. Those that return a promise or a list throw
 * TidemarkErrors (`not_configured`, `relay_*`, `db_*`, …).
 */
export interface Agent {
  /** Opens the replica and begins to work. A replica that cannot be opened is a fault in the facts; the agent tries again later. */
  start(settings: AgentSettings): void;
  /** Ends the run at the next safe point and closes the replica. Resolves when nothing of the agent runs any longer. */
  stop(): Promise<void>;
  facts(): Facts;
  /** Calls `listener` when facts have changed, at most about 10 times a second. Returns the function that removes it. */
  onFacts(listener: (facts: Facts) => void): () => void;
  /** Calls `listener` for each run that has ended. */
  onRun(listener: (run: Run) => void): () => void;

  /** Starts a run. During another run it only turns a check into a pull, and ends the wait for a retry. */
  run(mode: Mode, trigger: Trigger, target?: Seq): void;
  cancel(): void;
  /** Stops automatic runs and the one under way, until the time or, with null, until resumed. */
  pause(until: number | null, by: string): void;
  resume(): void;
  /** The operating system's word on the network; null: it has none. */
  setOnline(online: boolean | null): void;
  /** The PC woke from sleep, so connections from before are dead. */
  woke(): void;
  /** Takes effect at once. A change of relay, feed or key ends the run under way. */
  changeSettings(settings: AgentSettings): void;

  waiting(after: Seq | null, limit: number): Promise<TransactionList>;
  /** Tables of the replica and of the relay; without an answer of the relay, those of the replica. */
  tables(): Promise<TableRow[]>;
  /** Newest first; `before` is the `startedAt` of the last one of the list before. */
  runs(before: number | null, limit: number): Run[];
  samples(sinceMs: number): Sample[];
}
