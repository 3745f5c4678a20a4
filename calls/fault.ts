import { asTidemarkError, TidemarkError } from '@tidemark/protocol/errors';
import type { Fault } from '@tidemark/protocol/fault';

/** Errors on their way between processes: a `Fault` is their plain form, a {@link FaultError} the thrown one. */

/** An error that another process or thread reported. */
export class FaultError extends TidemarkError {
  readonly fault: Fault;

  constructor(fault: Fault) {
    super(fault.code, fault.params, fault.detail);
    this.fault = fault;
  }
}

/**
 * The plain form of anything thrown. `detail` is the message of the cause or, `withStack`, the stack of an error that has
 * no code of its own: for the log of the process that the thread belongs to.
 */
export function toFault(thrown: unknown, withStack = false): Fault {
  if (thrown instanceof FaultError) return thrown.fault;
  const { code, params, cause } = asTidemarkError(thrown);
  const stack = withStack && code === 'internal' ? ((cause ?? thrown) as Error).stack : undefined;
  const detail = stack ?? (cause instanceof Error ? cause.message : undefined);
  return { code, params, ...(detail === undefined ? {} : { detail }) };
}
