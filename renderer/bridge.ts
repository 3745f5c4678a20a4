import type { Bridge, Input, MethodName, Output } from '@tidemark/electron/contract/contract';
import { ERRORS, fill } from '@tidemark/protocol/errors';
import type { Fault } from '@tidemark/protocol/fault';

declare global {
  interface Window {
    /** Put there by the preload; absent when the page is opened outside the app. */
    readonly tidemark?: Bridge;
  }
}

/** A call that the app refused or could not carry out. */
class CallFailed extends Error {
  override readonly name = 'CallFailed';
  readonly fault: Fault;

  constructor(fault: Fault) {
    super(fill(ERRORS[fault.code].means, fault.params));
    this.fault = fault;
  }
}

/** The app as the window sees it: answers are values, failures are thrown. */
export interface Api {
  /** Throws {@link CallFailed}. */
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

/** The fault in anything thrown. */
export function faultOf(thrown: unknown): Fault {
  if (thrown instanceof CallFailed) return thrown.fault;
  return { code: 'internal', params: { detail: thrown instanceof Error ? thrown.message : String(thrown) } };
}

/** What an error means, then what to do. */
export function sayFault(fault: Fault): { means: string; todo: string } {
  const { means, todo } = ERRORS[fault.code];
  return { means: fill(means, fault.params), todo: fill(todo, fault.params) };
}
