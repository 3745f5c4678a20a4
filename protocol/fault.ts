import { z } from 'zod';
import { ErrorCode } from './errors.ts';

/** An error as it crosses processes and as a run's history stores it: data without a stack or a prototype. */

export const Fault = z.object({
  code: ErrorCode,
  /** Values for the sentence of the code. */
  params: z.record(z.string(), z.union([z.string(), z.number()])),
  /** The original error's message, shown under Details and to support. Never holds a secret. */
  detail: z.string().optional(),
  /** Id of the failed request in the relay's log. */
  requestId: z.string().optional(),
});
export type Fault = z.infer<typeof Fault>;
