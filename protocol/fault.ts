import { z } from 'zod';
import { ErrorCode } from './errors.ts';

/** An error in the form that is sent between processes and stored in a run's history: plain data without a stack. */

export const Fault = z.object({
  code: ErrorCode,
  /** Values for the placeholders of the code's sentence. */
  params: z.record(z.string(), z.union([z.string(), z.number()])),
  /** The original error's message, shown under Details and to support. It never contains a secret. */
  detail: z.string().optional(),
  /** Id of the failed request in the relay's log. */
  requestId: z.string().optional(),
});
export type Fault = z.infer<typeof Fault>;
