import type { RelayStatus, TransactionList } from '@tidemark/protocol/api';
import type { Seq } from '@tidemark/protocol/cursor';
import type { Fault } from '@tidemark/protocol/fault';
import type { Mode, Run, Trigger } from '@tidemark/protocol/run';
import type { Facts } from '@tidemark/status/facts';
import type { Secret } from '../relay/secret.ts';
import type { Sample, TableRow } from './contract.ts';

/** The settings of an agent, which can change while it runs. */
export interface AgentSettings {
  /** The relay's address, http or https. '' when not set up. */
  relayUrl: string;
  /** The feed's name. '' when not set up. */
  feed: string;
  token: Secret | null;
  /** Display names of the central database and of this PC. */
  centralName: string;
  terminalName: string;
  /** Interval between automatic runs, ms. Null: off. */
  everyMs: number | null;
  /**
   * Whether an automatic run pulls or only checks. On a PC without data it only checks, because a person decides when
   * to download the first copy.
   */
  automatic: 'sync' | 'check';
}

/** Options that stay the same during the life of an agent. */
export interface AgentOptions {
  /** Path of the replica. Its folder must exist. */
  databasePath: string;
  /** Version of this program, for the relay's list of terminals. */
  version: string;
  /** Whether the agent runs once at its start: a pull when the schedule has one due, otherwise a check. */
  checkAtStart: boolean;
  /** Whether the agent follows the relay with long polls and pulls changes as they arrive. */
  watch: boolean;
  /**
   * `take`: a pull downloads a snapshot when the relay has a new history, or no longer keeps the changes that the
   * replica needs. `ask`: the pull fails instead, so that a person decides.
   */
  freshCopy: 'take' | 'ask';
  /**
   * A run gives up after its attempts have failed for this long, ms. Null: never. The waits between attempts grow up to
   * 5 minutes.
   */
  giveUpAfterMs: number | null;
  /** Whether a verify repairs differences or only reports them. Default: it repairs. */
  repair?: boolean;
  /** A pause that began in an earlier process and has not ended. */
  paused: Facts['paused'];
  /** Called when a fresh copy replaces a damaged file, with the name under which that file is kept. */
  onSetAside?: (file: string) => void;
}

/** One line of the log: an event with fields, never a secret. */
export type Log = (level: 'debug' | 'info' | 'warn' | 'error', event: string, fields: Record<string, unknown>) => void;

export type ConnectionTest = { ok: true; status: RelayStatus; latencyMs: number } | { ok: false; fault: Fault };

/**
 * The agent of one replica, and the replica's only writer. It does not depend on Electron. `createAgent` in agent.ts
 * creates it.
 *
 * Calls that start work return at once, and the results appear in the facts. Calls that return a promise or a list
 * throw TidemarkErrors (`not_configured`, `relay_*`, `db_*`, …).
 */
export interface Agent {
  /**
   * Opens the replica and begins to work. When the replica cannot be opened, the facts show the fault and the agent
   * retries.
   */
  start(settings: AgentSettings): void;
  /** Ends the run at the next safe point and closes the replica. Resolves when all of the agent's work has ended. */
  stop(): Promise<void>;
  facts(): Facts;
  /**
   * Calls `listener` when facts have changed, at most about 10 times a second. Returns a function that removes the
   * listener.
   */
  onFacts(listener: (facts: Facts) => void): () => void;
  /** Calls `listener` with each run that has ended. */
  onRun(listener: (run: Run) => void): () => void;

  /**
   * Starts a run. When a run is already under way, a request can only turn a check into a pull, or end the wait before
   * a retry.
   */
  run(mode: Mode, trigger: Trigger, target?: Seq): void;
  cancel(): void;
  /** Stops automatic runs, and the run under way, until the given time. Null: until a person resumes. */
  pause(until: number | null, by: string): void;
  resume(): void;
  /**
   * Reports whether the PC has a network. Null: the operating system does not report it. The return of the network ends
   * a wait at most once every two minutes (W1).
   */
  setOnline(online: boolean | null): void;
  /**
   * Reports that the PC woke from sleep, so that earlier connections are dead. Takes effect at most once every two
   * minutes (W1).
   */
  woke(): void;
  /** Applies settings at once. A change of relay, feed or key ends the run under way. */
  changeSettings(settings: AgentSettings): void;

  waiting(after: Seq | null, limit: number): Promise<TransactionList>;
  /** Returns the tables of the replica and of the relay. When the relay does not answer, only those of the replica. */
  tables(): Promise<TableRow[]>;
  /** Returns runs, newest first. `before`: the `startedAt` of the last run on the previous page. */
  runs(before: number | null, limit: number): Run[];
  samples(sinceMs: number): Sample[];
}
