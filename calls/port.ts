import { Fault } from '@tidemark/protocol/fault';
import { z } from 'zod';

/**
 * The transport of calls and its messages. A port can connect to a worker thread, a utility process or an object in the
 * same thread. Callers and servers depend only on this interface.
 */

/**
 * One end of a connection between two processes or threads of Tidemark. Messages arrive in the order in which they were
 * posted.
 */
export interface Port {
  /**
   * Sends a message. The buffers in `transfer` move, and the sender can no longer read them. Ports between processes
   * copy them.
   */
  post(message: unknown, transfer?: readonly ArrayBuffer[]): void;
  onMessage(listener: (message: unknown) => void): void;
}

interface Method {
  readonly in: z.ZodType;
  readonly out: z.ZodType;
}

/** Methods by name. Both ends derive their types from one table and parse received messages with its schemas. */
export type MethodTable = Readonly<Record<string, Method>>;

/** A method table with the time limit of each call, in ms. */
export type TimedTable = Readonly<Record<string, Method & { readonly timeoutMs: number }>>;

/** Events by name: messages from the server to the caller that need no answer. */
export type EventTable = Readonly<Record<string, z.ZodType>>;

/** Requests a call. `id` is unique among the calls of one caller. */
export const CallMessage = z.object({ id: z.int(), method: z.string(), input: z.unknown() });

/** Answers the call with the same id. */
export const AnswerMessage = z.discriminatedUnion('ok', [
  z.object({ id: z.int(), ok: z.literal(true), value: z.unknown() }),
  z.object({ id: z.int(), ok: z.literal(false), fault: Fault }),
]);
export type AnswerMessage = z.output<typeof AnswerMessage>;

export const EventMessage = z.object({ event: z.string(), value: z.unknown() });

/**
 * Bytes in a message. The schema does not inspect them, so that parsing a batch of 32 MiB costs as much as parsing an
 * empty one.
 */
export const Bytes = z.custom<Uint8Array<ArrayBuffer>>((value) => value instanceof Uint8Array, 'expected bytes');
