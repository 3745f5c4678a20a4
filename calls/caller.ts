import { TidemarkError } from '@tidemark/protocol/errors';
import { z } from 'zod';
import { FaultError } from './fault.ts';
import { AnswerMessage, EventMessage, type EventTable, type Port, type TimedTable } from './port.ts';

/**
 * The calling end of a port. It matches each answer to its call.
 *
 * Every call settles: with its answer, at its time limit, or when `close` reports that the other end is gone. Answers
 * and events are parsed; an invalid one never reaches a caller.
 */

export interface Caller<M extends TimedTable> {
  /**
   * Calls a method of the other end. Rejects with the other end's fault ({@link FaultError}), with `internal` when the
   * answer does not match the schema, or with the error from {@link CallerOptions.unanswered}. `transfer` lists buffers
   * inside `input` to move instead of copy.
   */
  call<N extends keyof M & string>(
    method: N,
    input: z.input<M[N]['in']>,
    transfer?: readonly ArrayBuffer[],
  ): Promise<z.output<M[N]['out']>>;
  /**
   * Rejects every pending call and every later one, because the other end is gone. `reason` appears in the error's
   * details.
   */
  close(reason: string): void;
}

interface CallerOptions<E extends EventTable> {
  on: { [N in keyof E]: (value: z.output<E[N]>) => void };
  /** Called for each message that is neither an answer nor an event of the table. The message is dropped. */
  onInvalidMessage: (error: Error) => void;
  /** Returns the error for a call without an answer. `reason` appears in its details. */
  unanswered: (reason: string) => TidemarkError;
}

interface PendingCall {
  settle: (answer: AnswerMessage) => void;
  reject: (error: Error) => void;
}

export function makeCaller<M extends TimedTable, E extends EventTable>(
  port: Port,
  tables: { methods: M; events: E },
  { on, onInvalidMessage, unanswered }: CallerOptions<E>,
): Caller<M> {
  const pending = new Map<number, PendingCall>();
  let lastId = 0;
  let closedBecause: string | null = null;

  port.onMessage((message) => {
    const answer = AnswerMessage.safeParse(message);
    if (answer.success) {
      // An answer that arrives after the time limit has no pending call and is dropped.
      pending.get(answer.data.id)?.settle(answer.data);
      return;
    }
    const event = EventMessage.safeParse(message);
    const schema =
      event.success && Object.hasOwn(tables.events, event.data.event) ? tables.events[event.data.event] : undefined;
    if (!event.success || !schema) return onInvalidMessage(new Error('the message is neither an answer nor an event'));
    const value = schema.safeParse(event.data.value);
    if (!value.success)
      return onInvalidMessage(new Error(`event ${event.data.event}: ${z.prettifyError(value.error)}`));
    (on[event.data.event] as (value: unknown) => void)(value.data);
  });

  return {
    call(method, input, transfer) {
      if (closedBecause !== null) return Promise.reject(unanswered(closedBecause));
      const { out, timeoutMs } = tables.methods[method] as TimedTable[string];
      const id = ++lastId;
      return new Promise((resolve, reject) => {
        const forget = () => {
          clearTimeout(timer);
          pending.delete(id);
        };
        const timer = setTimeout(() => {
          forget();
          reject(unanswered(`no answer to ${method} within ${timeoutMs} ms`));
        }, timeoutMs);
        pending.set(id, {
          settle(answer) {
            forget();
            if (!answer.ok) return reject(new FaultError(answer.fault));
            const value = out.safeParse(answer.value);
            if (value.success) resolve(value.data as never);
            else reject(new TidemarkError('internal', { detail: `the answer to ${method} is not valid` }, value.error));
          },
          reject(error) {
            forget();
            reject(error);
          },
        });
        try {
          port.post({ id, method, input }, transfer);
        } catch (error) {
          // The port could not send the message, so no answer will arrive.
          forget();
          reject(error as Error);
        }
      });
    },
    close(reason) {
      closedBecause ??= reason;
      for (const call of [...pending.values()]) call.reject(unanswered(reason));
    },
  };
}
