import type { ServerResponse } from 'node:http';
import { TidemarkError } from '@tidemark/protocol/errors';

/**
 * Limits the requests of one access key whose answers are not sent yet, and the bytes of their bodies that the relay
 * holds, for each key and in all (B44, B45). A request beyond a limit is refused with `relay_busy`; other
 * keys are not affected.
 */

interface KeyLimits {
  /** Requests whose answers are not sent yet. */
  requests: number;
  /** Bytes of the bodies of these requests. */
  bodyBytes: number;
}

/** A terminal has one request that waits, and one or two others. A key may serve a few PCs, so the limit is higher. */
export const TERMINAL_LIMITS: KeyLimits = { requests: 32, bodyBytes: 8 * 1024 * 1024 };
/** A feed sends one batch and one report. After it gave up a batch, the relay may still hold it beside the next one. */
export const FEED_LIMITS: KeyLimits = { requests: 8, bodyBytes: 160 * 1024 * 1024 };
/** Bytes of the bodies of all requests, without those of feeds. */
export const BODIES_BYTES = 64 * 1024 * 1024;

interface Usage {
  requests: number;
  bodyBytes: number;
}

/** A request in flight. It counts until its response is closed. */
export interface InFlightRequest {
  /** Counts bytes of the body that have arrived. Throws relay_busy if the relay holds too many. */
  hold(bytes: number): void;
}

export class InFlight {
  readonly #keys = new Map<string, Usage>();
  /** Bytes of bodies, without those of feeds. */
  #bodyBytes = 0;

  /** Number of keys with requests in flight. */
  get size(): number {
    return this.#keys.size;
  }

  /** Counts a request of a key. `key` identifies the key. Throws relay_busy if the key has too many. */
  enter(key: string, isFeed: boolean, response: Pick<ServerResponse, 'once'>): InFlightRequest {
    const limits = isFeed ? FEED_LIMITS : TERMINAL_LIMITS;
    let usage = this.#keys.get(key);
    if (usage === undefined) {
      usage = { requests: 0, bodyBytes: 0 };
      this.#keys.set(key, usage);
    } else if (usage.requests >= limits.requests) throw new TidemarkError('relay_busy');
    const of = usage;
    of.requests++;
    let held = 0;
    response.once('close', () => {
      of.requests--;
      of.bodyBytes -= held;
      if (!isFeed) this.#bodyBytes -= held;
      if (of.requests === 0) this.#keys.delete(key);
    });
    return {
      hold: (bytes) => {
        if (of.bodyBytes + bytes > limits.bodyBytes || (!isFeed && this.#bodyBytes + bytes > BODIES_BYTES))
          throw new TidemarkError('relay_busy');
        held += bytes;
        of.bodyBytes += bytes;
        if (!isFeed) this.#bodyBytes += bytes;
      },
    };
  }
}
