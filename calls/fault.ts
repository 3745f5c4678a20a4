import { asTidemarkError, TidemarkError } from '@tidemark/protocol/errors';
import type { Fault } from '@tidemark/protocol/fault';

/** An error that came from another process, with what that said of it. */
export class FaultError extends TidemarkError {
  readonly fault: Fault;

  constructor(fault: Fault) {
    super(fault.code, fault.params);
    this.fault = fault;
  }
}

/** Anything thrown, in the form that crosses processes. */
export function toFault(thrown: unknown): Fault {
  if (thrown instanceof FaultError) return thrown.fault;
  const { code, params, cause } = asTidemarkError(thrown);
  const detail = cause instanceof Error ? cause.message : undefined;
  return { code, params, ...(detail === undefined ? {} : { detail }) };
}
