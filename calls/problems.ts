import type { z } from 'zod';

/** Formats all validation errors as one line for an error's `detail`: `relayUrl: expected a URL; feed: too long`. */
export function problems(error: z.ZodError): string {
  return error.issues
    .map(({ path, message }) => (path.length > 0 ? `${path.join('.')}: ${message}` : message))
    .join('; ');
}
