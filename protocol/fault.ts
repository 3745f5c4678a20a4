import { z } from 'zod';
import { ErrorCode } from './errors.ts';

/** An error as it travels between processes. */
export const Fault = z.object({
  code: ErrorCode,
  params: z.record(z.string(), z.union([z.string(), z.number()])),
  /** For details and support: never a secret. */
  detail: z.string().optional(),
  requestId: z.string().optional(),
});
export type Fault = z.infer<typeof Fault>;
