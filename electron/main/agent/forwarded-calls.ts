import type { Caller } from '@tidemark/calls/caller';
import type { Handlers } from '@tidemark/calls/server';
import { type AGENT_METHODS, FORWARDED_METHODS } from '@tidemark/terminal/agent/contract';
import type { z } from 'zod';

/** Handlers for the window's calls that the agent answers. */
type ForwardedCalls = Handlers<typeof FORWARDED_METHODS>;
type ForwardedName = keyof ForwardedCalls;

/**
 * Makes a handler for each of {@link FORWARDED_METHODS} that passes the call on unchanged. This is the only place where
 * a forwarded call appears, except its entry in that table. Both boundaries parse input and output, so they are
 * not parsed a third time here.
 */
export function forwardCalls(call: Caller<typeof AGENT_METHODS>['call']): ForwardedCalls {
  const forward =
    <N extends ForwardedName>(method: N) =>
    (input: z.input<(typeof AGENT_METHODS)[N]['in']>) =>
      call(method, input);
  const names = Object.keys(FORWARDED_METHODS) as ForwardedName[];
  // Object.fromEntries does not keep which handler belongs to which name, so the type is asserted; the test covers it.
  return Object.fromEntries(names.map((name) => [name, forward(name)])) as unknown as ForwardedCalls;
}
