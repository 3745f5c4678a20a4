import { asTidemarkError, TidemarkError } from '@tidemark/protocol/errors';
import type { Fault } from '@tidemark/protocol/fault';

/**
 * Transports errors between processes. A `Fault` is the plain form; a {@link FaultError} is the form that the receiver
 * throws.
 */

/** An error that another process or thread reported. */
export class FaultError extends TidemarkError {
  readonly fault: Fault;

  constructor(fault: Fault) {
    super(fault.code, fault.params, fault.detail);
    this.fault = fault;
  }
}

/**
 * Converts any thrown value to a fault. `detail` is the message of the cause. With `withStack`, it is the stack for
 * errors without a code, which the process of the thread writes to its log.
 */
export function toFault(thrown: unknown, withStack = false): Fault {
  if (thrown instanceof FaultError) return thrown.fault;
  const { code, params, cause } = asTidemarkError(thrown);
  const stack = withStack && code === 'internal' ? ((cause ?? thrown) as Error).stack : undefined;
  const detail = stack ?? (cause instanceof Error ? cause.message : undefined);
  return { code, params, ...(detail === undefined ? {} : { detail }) };
}
