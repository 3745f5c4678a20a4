import type { Bridge, Input, MethodName, Output } from '@tidemark/electron/contract/contract';
import { ERRORS, fill } from '@tidemark/protocol/errors';
import type { Fault } from '@tidemark/protocol/fault';

declare global {
  interface Window {
    /** Set by the preload script. Absent if the page is opened outside the app. */
    readonly tidemark?: Bridge;
  }
}

/** Thrown when a call to the app was rejected or failed. */
class CallFailed extends Error {
  override readonly name = 'CallFailed';
  readonly fault: Fault;

  constructor(fault: Fault) {
    super(fill(ERRORS[fault.code].means, fault.params));
    this.fault = fault;
  }
}

/** The app's calls. They return answers and throw failures. */
export interface Api {
  /** Calls the app. Throws {@link CallFailed}. */
  call<M extends MethodName>(method: M, input: Input<M>): Promise<Output<M>>;
  on: Bridge['on'];
}

export function makeApi(bridge: Bridge): Api {
  return {
    async call(method, input) {
      const reply = await bridge.call(method, input);
      if (!reply.ok) throw new CallFailed(reply.fault);
      return reply.value;
    },
    on: (event, listener) => bridge.on(event, listener),
  };
}

/** Converts any thrown value to a fault. */
export function faultOf(thrown: unknown): Fault {
  if (thrown instanceof CallFailed) return thrown.fault;
  return { code: 'internal', params: { detail: thrown instanceof Error ? thrown.message : String(thrown) } };
}

/** Returns the meaning and the remedy of an error. */
export function describeFault(fault: Fault): { means: string; todo: string } {
  const { means, todo } = ERRORS[fault.code];
  return { means: fill(means, fault.params), todo: fill(todo, fault.params) };
}
