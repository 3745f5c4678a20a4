import { type ErrorCode, TidemarkError } from '@tidemark/protocol/errors';
import { z } from 'zod';
import { toFault } from './fault.ts';
import { CallMessage, type EventTable, type MethodTable, type Port } from './port.ts';
import { problems } from './problems.ts';

/**
 * The answering end of a port. It parses each call, runs the handler, and answers once: with the handler's value, or
 * with a fault. Calls run concurrently; a handler that needs an order must enforce it.
 */

export type Handlers<M extends MethodTable> = {
  [N in keyof M]: (input: z.output<M[N]['in']>) => z.input<M[N]['out']> | Promise<z.input<M[N]['out']>>;
};

interface ServeOptions {
  /** Called for each message that is not a call. Such a message cannot be answered. */
  onInvalidMessage: (error: Error) => void;
  /**
   * Whether faults include the stack of an unexpected error. Set it only for threads of the same process, whose faults
   * reach only its log.
   */
  withStack?: boolean;
  /**
   * Whether the bytes in an answer move to the caller. The handler must not use them afterwards. Set it only for threads
   * of the same process. Bytes that share their buffer with others are copied.
   */
  movesBytes?: boolean;
}

/** Answers the calls that arrive over `port`. Returns the function that sends an event to the caller. */
export function serve<M extends MethodTable, E extends EventTable>(
  port: Port,
  tables: { methods: M; events: E },
  handlers: Handlers<M>,
  { onInvalidMessage, withStack = false, movesBytes = false }: ServeOptions,
): <N extends keyof E & string>(event: N, value: z.input<E[N]>) => void {
  const refuse = (id: number, error: unknown) => port.post({ id, ok: false, fault: toFault(error, withStack) });
  port.onMessage((message) => {
    const call = CallMessage.safeParse(message);
    if (!call.success) return onInvalidMessage(new Error(`the message is not a call: ${z.prettifyError(call.error)}`));
    const { id, method, input } = call.data;
    answer(tables.methods, handlers, method, input)
      .then((value) => port.post({ id, ok: true, value }, movesBytes ? buffersIn(value) : []))
      // A value that cannot be posted also becomes a fault. Otherwise the caller would wait until its time limit.
      .catch((error: unknown) => refuse(id, error));
  });
  return (event, value) => port.post({ event, value });
}

/**
 * Runs one call of a table and returns its value. Throws `request_invalid` for an unknown method, `invalid(method)` for
 * input that does not match its schema, a ZodError for output that does not match its schema, and the handler's own
 * error.
 */
export async function answer<M extends MethodTable>(
  methods: M,
  handlers: Handlers<M>,
  method: unknown,
  input: unknown,
  invalid: (method: keyof M) => ErrorCode = () => 'request_invalid',
): Promise<unknown> {
  if (typeof method !== 'string' || !Object.hasOwn(methods, method)) {
    throw new TidemarkError('request_invalid', {
      detail: `there is no method ${typeof method === 'string' ? method.slice(0, 60) : typeof method}`,
    });
  }
  const row = methods[method] as M[keyof M];
  const parsed = row.in.safeParse(input);
  if (!parsed.success) throw new TidemarkError(invalid(method), { detail: problems(parsed.error) });
  const value = await (handlers[method] as (input: unknown) => unknown)(parsed.data);
  return row.out.parse(value);
}

/** Returns the buffers of the bytes among the fields of an answer. */
function buffersIn(answer: unknown): ArrayBuffer[] {
  const fields: unknown[] = typeof answer === 'object' && answer !== null ? Object.values(answer) : [];
  return fields.flatMap((field) =>
    field instanceof Uint8Array && field.buffer instanceof ArrayBuffer && field.byteLength === field.buffer.byteLength
      ? [field.buffer]
      : [],
  );
}
