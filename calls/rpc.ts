import { type ErrorCode, TidemarkError } from '@tidemark/protocol/errors';
import { Fault } from '@tidemark/protocol/fault';
import { z } from 'zod';
import { FaultError, toFault } from './fault.ts';

/** Calls between two of our processes, over anything that carries messages. Both ends parse what they receive. */

interface Method {
  readonly in: z.ZodType;
  readonly out: z.ZodType;
}
export type MethodTable = Readonly<Record<string, Method>>;
/** `timeoutMs`: how long a call may wait for its answer. */
export type TimedTable = Readonly<Record<string, Method & { readonly timeoutMs: number }>>;
export type EventTable = Readonly<Record<string, z.ZodType>>;

/** One end of a pipe between processes. */
export interface Port {
  post(message: unknown): void;
  onMessage(listener: (message: unknown) => void): void;
}

const Call = z.object({ id: z.int(), method: z.string(), input: z.unknown() });
const Answer = z.discriminatedUnion('ok', [
  z.object({ id: z.int(), ok: z.literal(true), value: z.unknown() }),
  z.object({ id: z.int(), ok: z.literal(false), fault: Fault }),
]);
const Told = z.object({ event: z.string(), value: z.unknown() });

export interface Caller<M extends TimedTable> {
  /** Rejects with the other end's fault, or `agent_down` when it is gone or has not answered in the method's time. */
  call<N extends keyof M & string>(method: N, input: z.input<M[N]['in']>): Promise<z.output<M[N]['out']>>;
  /** The other end is gone: every call that waits is rejected, and so is each later one. */
  gone(): void;
}

interface Waiting {
  settle: (answer: z.output<typeof Answer>) => void;
  reject: (error: Error) => void;
}

export function makeCaller<M extends TimedTable, E extends EventTable>(
  port: Port,
  tables: { methods: M; events: E },
  on: { [N in keyof E]: (value: z.output<E[N]>) => void },
  /** A message that does not parse: the other end is not ours, or broken. */
  onNonsense: (error: Error) => void,
): Caller<M> {
  const waiting = new Map<number, Waiting>();
  let lastId = 0;
  let alive = true;

  port.onMessage((message) => {
    const answer = Answer.safeParse(message);
    if (answer.success) {
      // An answer may come after its time limit; nobody waits for it then.
      waiting.get(answer.data.id)?.settle(answer.data);
      return;
    }
    const told = Told.safeParse(message);
    const schema = told.success ? tables.events[told.data.event] : undefined;
    if (!told.success || !schema) return onNonsense(new Error('a message of unknown form'));
    const value = schema.safeParse(told.data.value);
    if (!value.success) return onNonsense(new Error(`event ${told.data.event}: ${z.prettifyError(value.error)}`));
    (on[told.data.event] as (value: unknown) => void)(value.data);
  });

  return {
    call(method, input) {
      if (!alive) return Promise.reject(new TidemarkError('agent_down'));
      const row = tables.methods[method] as TimedTable[string];
      const id = ++lastId;
      return new Promise((resolve, reject) => {
        const end = () => {
          clearTimeout(timer);
          waiting.delete(id);
        };
        const timer = setTimeout(() => {
          end();
          reject(new TidemarkError('agent_down', {}, new Error(`no answer to ${method} in ${row.timeoutMs} ms`)));
        }, row.timeoutMs);
        waiting.set(id, {
          settle(answer) {
            end();
            if (!answer.ok) return reject(new FaultError(answer.fault));
            const value = row.out.safeParse(answer.value);
            if (value.success) resolve(value.data as never);
            else
              reject(new TidemarkError('internal', { detail: `${method} answered what it should not` }, value.error));
          },
          reject(error) {
            end();
            reject(error);
          },
        });
        port.post({ id, method, input });
      });
    },
    gone() {
      alive = false;
      for (const each of [...waiting.values()]) each.reject(new TidemarkError('agent_down'));
    },
  };
}

export type Handlers<M extends MethodTable> = {
  [N in keyof M]: (input: z.output<M[N]['in']>) => Promise<z.input<M[N]['out']>>;
};

/** Answers the calls that come over `port`, and returns the function that tells an event. */
export function serve<M extends MethodTable, E extends EventTable>(
  port: Port,
  tables: { methods: M; events: E },
  handlers: Handlers<M>,
): <N extends keyof E & string>(event: N, value: z.input<E[N]>) => void {
  port.onMessage((message) => {
    const { id, method, input } = Call.parse(message);
    answer(tables.methods, handlers, method, input).then(
      (value) => port.post({ id, ok: true, value }),
      (error: unknown) => port.post({ id, ok: false, fault: toFault(error) }),
    );
  });
  return (event, value) => port.post({ event, value });
}

/** Runs one call of a table: unknown method, bad input and bad output are refused alike at every boundary. */
export async function answer<M extends MethodTable>(
  methods: M,
  handlers: Handlers<M>,
  method: unknown,
  input: unknown,
  /** The code for input that the method's schema refuses. */
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
  const value = await (handlers[method] as unknown as (input: unknown) => Promise<unknown>)(parsed.data);
  return row.out.parse(value);
}

/** All that a schema found, in one line. */
export function problems(error: z.ZodError): string {
  return error.issues
    .map(({ path, message }) => (path.length > 0 ? `${path.join('.')}: ${message}` : message))
    .join('; ');
}
