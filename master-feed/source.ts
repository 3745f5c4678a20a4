import type { SessionAnswer, SessionRequest } from '@tidemark/protocol/api';
import type { Outbox } from './outbox.ts';

/** Something happened that an operator may want to know. */
export type Log = (event: string, fields?: Record<string, unknown>) => void;

/** A master whose log can be read: one folder implements it for each kind of database. */
export interface Source {
  /** Connects, and says which master this is, and whether a base is to come. Throws source_unreachable, source_denied. */
  open(): Promise<Pick<SessionRequest, 'source' | 'base'>>;
  /**
   * Checks all that the master needs (source_not_ready names all that is missing), then reads from where the relay is, taking a base first when that is not possible, and writes to the outbox
   * until `signal` is aborted; then it returns. It also returns when it is to be opened anew though nothing is wrong, as after
   * tables of the master were altered. Confirms to the master only what the outbox calls durable.
   * Throws at the first fault: everything is then opened anew.
   */
  run(session: SessionAnswer, outbox: Outbox, signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}
