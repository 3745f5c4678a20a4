import { Fault } from '@tidemark/protocol/fault';
import { z } from 'zod';

/**
 * The transport of calls, and its messages. A port may lead to a worker thread, a utility process or another
 * object in memory; callers and servers see only this interface.
 */

/** One end of a connection between two of our processes or threads. Messages arrive in the order in which they were posted. */
export interface Port {
  /** Sends a message. `transfer`: buffers that move; the sender can no longer read them. Ports between processes copy. */
  post(message: unknown, transfer?: readonly ArrayBuffer[]): void;
  onMessage(listener: (message: unknown) => void): void;
}

interface Method {
  readonly in: z.ZodType;
  readonly out: z.ZodType;
}

/** Calls by name. Both ends derive their types from one table and parse what they receive with its schemas. */
export type MethodTable = Readonly<Record<string, Method>>;

/** The same with the time that a call may wait for its answer, ms. */
export type TimedTable = Readonly<Record<string, Method & { readonly timeoutMs: number }>>;

/** Messages from the server to the caller that expect no answer. */
export type EventTable = Readonly<Record<string, z.ZodType>>;

/** Asks for a call. `id` is unique among the calls of one caller. */
export const CallMessage = z.object({ id: z.int(), method: z.string(), input: z.unknown() });

/** Answers the call of the same id. */
export const AnswerMessage = z.discriminatedUnion('ok', [
  z.object({ id: z.int(), ok: z.literal(true), value: z.unknown() }),
  z.object({ id: z.int(), ok: z.literal(false), fault: Fault }),
]);
export type AnswerMessage = z.output<typeof AnswerMessage>;

export const EventMessage = z.object({ event: z.string(), value: z.unknown() });

/** Bytes in a message. Their length and content are not looked at: a batch of 32 MiB costs as much as an empty one. */
export const Bytes = z.custom<Uint8Array<ArrayBuffer>>((value) => value instanceof Uint8Array, 'expected bytes');
