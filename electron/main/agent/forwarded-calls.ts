import type { Caller } from '@tidemark/calls/caller';
import type { Handlers } from '@tidemark/calls/server';
import { type AGENT_METHODS, FORWARDED_METHODS } from '@tidemark/terminal/agent/contract';
import type { z } from 'zod';

/** Handlers for the window's calls that the agent answers. */
type ForwardedCalls = Handlers<typeof FORWARDED_METHODS>;
type ForwardedName = keyof ForwardedCalls;

/**
 * Creates a handler for each of {@link FORWARDED_METHODS} that forwards the call unchanged. A forwarded call needs no
 * other code than its entry in that table. Both boundaries parse input and output, so this module does not.
 */
export function forwardCalls(call: Caller<typeof AGENT_METHODS>['call']): ForwardedCalls {
  const forward =
    <N extends ForwardedName>(method: N) =>
    (input: z.input<(typeof AGENT_METHODS)[N]['in']>) =>
      call(method, input);
  const names = Object.keys(FORWARDED_METHODS) as ForwardedName[];
  // The type of Object.fromEntries does not relate each name to its handler, so the type is asserted. A test covers it.
  return Object.fromEntries(names.map((name) => [name, forward(name)])) as unknown as ForwardedCalls;
}
