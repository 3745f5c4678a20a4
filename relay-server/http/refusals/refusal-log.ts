import type { TidemarkError } from '@tidemark/protocol/errors';

/**
 * Logs refused requests within a bound, whatever callers send.
 *
 * In each minute, the first {@link LINES_A_GROUP} refusals of a client with the same code are logged one by one, and at
 * most {@link LINES_A_MINUTE} in all. The others are counted, and logged at the end of the minute as one
 * `requests-refused` line for each client and code, at most {@link GROUPS} lines. Clients beyond this number share one
 * group. No line contains a key, a control character or more than {@link LONGEST_TEXT} characters of the caller's text.
 */

type Log = (event: string, fields: Record<string, unknown>) => void;

const MINUTE_MS = 60_000;
const LINES_A_GROUP = 3;
const LINES_A_MINUTE = 60;
const GROUPS = 20;
const LONGEST_TEXT = 200;
/** Longest stack of an unexpected error, in characters. */
const LONGEST_STACK = 4_000;
/** The name of the group that clients share when there are too many. */
const OTHERS = 'others';

export interface RefusedRequest {
  requestId: string;
  client: string;
  method: string;
  path: string;
  status: number;
  /** The key that the request presented. The log contains no occurrence of it. */
  key: string | null;
}

export class RefusalLog {
  readonly #log: Log;
  readonly #timer: NodeJS.Timeout;
  #lines = 0;
  /** By code and client: refusals in this minute, and how many of them have no line of their own. */
  readonly #groups = new Map<string, { client: string; code: string; all: number; unlogged: number }>();

  constructor(log: Log) {
    this.#log = log;
    this.#timer = setInterval(() => this.flush(), MINUTE_MS).unref();
  }

  /** Records a refusal. `stack`: the stack of an unexpected error. */
  add({ requestId, client, method, path, status, key }: RefusedRequest, error: TidemarkError, stack?: string): void {
    const group = this.#groupOf(client, error.code);
    group.all++;
    if (group.all > LINES_A_GROUP || this.#lines >= LINES_A_MINUTE) {
      group.unlogged++;
      return;
    }
    this.#lines++;
    const text = (value: string, longest?: number) => printable(value, key, longest);
    this.#log('request-failed', {
      ...{ requestId, client: text(client), method: text(method), path: text(path), code: error.code, status },
      // A caller that receives `relay_failed` does not learn the cause, so the log states it.
      ...(status >= 500 && status !== 503 ? { message: text(error.message) } : {}),
      ...(stack === undefined ? {} : { stack: text(stack, LONGEST_STACK) }),
    });
  }

  /** Logs the refusals of the last minute that have no line of their own. */
  flush(): void {
    for (const { client, code, all, unlogged } of this.#groups.values())
      if (unlogged > 0)
        this.#log('requests-refused', { client: printable(client, null), code, refused: all, unlogged });
    this.#groups.clear();
    this.#lines = 0;
  }

  close(): void {
    clearInterval(this.#timer);
    this.flush();
  }

  #groupOf(client: string, code: string) {
    const name = `${code} ${client}`;
    const found = this.#groups.get(name);
    if (found) return found;
    // One group per code remains for the clients beyond the limit. The list of codes is closed.
    const isFull = this.#groups.size >= GROUPS;
    const shared = isFull ? this.#groups.get(`${code} ${OTHERS}`) : undefined;
    if (shared) return shared;
    const group = { client: isFull ? OTHERS : client, code, all: 0, unlogged: 0 };
    this.#groups.set(`${code} ${group.client}`, group);
    return group;
  }
}

/** Returns a caller's text without keys and control characters, cut to `longest` characters. */
function printable(text: string, key: string | null, longest = LONGEST_TEXT): string {
  const masked = (key === null || key.length < 4 ? text : text.replaceAll(key, '…')).replace(/tm_[\w-]{16,}/g, 'tm_…');
  const cut = masked.length > longest ? `${masked.slice(0, longest)}…` : masked;
  return cut.replace(/[^\x20-\x7e\n…]/g, (c) => `\\u${(c.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`);
}
