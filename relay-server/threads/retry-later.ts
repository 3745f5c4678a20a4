import { type ErrorCode, TidemarkError } from '@tidemark/protocol/errors';

/** A refusal of work that the relay does later. The answer names the time after which to ask again (Retry-After). */
export class RetryLater extends TidemarkError {
  readonly retryAfterS: number;

  constructor(code: ErrorCode, retryAfterS: number) {
    super(code);
    this.retryAfterS = retryAfterS;
  }
}
