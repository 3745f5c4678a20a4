import { TidemarkError } from '@tidemark/protocol/errors';
import type { Fault } from '@tidemark/protocol/fault';
import type { Replica } from '@tidemark/replica/replica';
import type { Log } from '../agent/agent-api.ts';
import type { FactBook } from '../facts/fact-book.ts';
import type { FactPublisher } from '../facts/fact-publisher.ts';
import type { Effect } from '../machine/effect.ts';
import type { Work } from '../machine/event.ts';
import type { Start, State } from '../machine/state.ts';
import type { RelayClient } from '../relay/relay-client.ts';
import type { Transfer } from '../relay/relay-transport.ts';
import type { SnapshotDownload } from '../relay/snapshot-download.ts';
import type { RunRecord } from './record/run-record.ts';

/**
 * The context in which the work of a run takes place: relay, replica, record and signal, and the receivers of results.
 */

/** An effect that takes time. The work has the same name as the effect. */
export type WorkEffect = Extract<Effect, { do: Exclude<Work, 'open'> }>;
export type EffectOf<W extends WorkEffect['do']> = Extract<WorkEffect, { do: W }>;

/** The agent's state at the moment when a piece of work begins. */
export interface Site {
  state: State;
  relay: RelayClient | null;
  replica: Replica | null;
  /** The record of the run that needs the work. Null for a poll. */
  record: RunRecord | null;
  signal: AbortSignal;
}
export type ReadySite = Site & { relay: RelayClient; replica: Replica };

/** Receivers of the results of work. */
export interface WorkDeps {
  book: FactBook;
  download: SnapshotDownload;
  publisher: FactPublisher;
  log: Log;
  /** Called with the fault of each piece of work that failed. */
  onFault(fault: Fault): void;
  /** Called after each status answer of the relay. `now`: ms since 1970. */
  onStatus(now: number): void;
}

/** Throws `cancelled` once the signal is aborted. */
export function throwIfAborted(signal: AbortSignal): void {
  if (signal.aborted) throw new TidemarkError('cancelled');
}

/**
 * Publishes the facts before work that keeps the thread busy. Throws `cancelled` when the run was cancelled meanwhile.
 */
export async function publishBeforeBlocking({ publisher }: WorkDeps, signal: AbortSignal): Promise<void> {
  await publisher.publishNow();
  throwIfAborted(signal);
}

/** Logs the indexes and triggers of other programs that were dropped. */
export function logDropped({ log }: WorkDeps, names: string[]): void {
  if (names.length > 0) log('warn', 'objects.dropped', { names });
}

/** Returns an observer that records the progress of a request. */
export function transferTo(record: RunRecord | null): Transfer {
  return {
    received: (bytes) => record?.addReceived(bytes, Date.now()),
    deadline: (at) => record?.setDeadline(at),
    compacted: (totals) => record?.setPageTotals(totals),
  };
}

/** Returns where the next page of a replica starts. */
export function startOf(replica: Replica): Start {
  const { start } = replica.cursorState();
  const compactedTo = replica.spool.compactionTarget();
  return compactedTo === null ? start : { ...start, compactedTo };
}
