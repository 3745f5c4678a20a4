import type { TidemarkError } from '@tidemark/protocol/errors';
import {
  type FeedFault,
  FeedFaultCode,
  type FeedReport,
  REPORTED_TABLES,
  type TableTrouble,
  TROUBLE_TEXT,
} from '@tidemark/protocol/trouble';
import type { SourceTrouble } from './source.ts';

/**
 * Reports to the relay what keeps the feed from making progress (F18).
 *
 * A report must never disturb the stream: it has a connection and a time limit of its own, one is sent at a time, and a
 * failure is ignored. The next report replaces the one that was lost. A fault ends with progress, not with a new
 * session: a feed that fails at the same place again and again opens a session each time.
 */

/** Time limit for a report before the feed ends, in ms. */
const LAST_REPORT_MS = 5_000;

/** Largest size of the tables in a report, in bytes. The relay accepts 1 MiB in all. */
const TABLES_BYTES = 900_000;

/** Longest name of a table in a report, in UTF-16 code units. */
const NAME_LENGTH = 200;

/** Sends a report. Rejects when the relay does not accept it, as a relay without reports does. */
export type SendReport = (report: FeedReport) => Promise<void>;

export class FaultReports {
  readonly #send: SendReport;
  readonly #now: () => number;
  #progressedAt: number;
  #fault: FeedFault | null = null;
  #tables: TableTrouble[] = [];
  #sending: Promise<void> | null = null;
  /** Whether the report in flight is out of date. */
  #outdated = false;

  constructor(send: SendReport, now: () => number) {
    this.#send = send;
    this.#now = now;
    this.#progressedAt = now();
  }

  /**
   * An attempt has failed. A fault of the relay is reported when the next session opens: the relay does not answer, or
   * may have asked for a wait.
   */
  onFault(error: TidemarkError): void {
    this.#fault = {
      code: FeedFaultCode.parse(error.code),
      detail: error.message.slice(0, TROUBLE_TEXT),
      since: this.#progressedAt,
      attempts: (this.#fault?.attempts ?? 0) + 1,
    };
    if (!error.code.startsWith('relay_')) this.#report();
  }

  /** The relay has opened a session. It may have restarted, and then it has lost the earlier report. */
  onSession(): void {
    this.#report();
  }

  /**
   * The master has been described again. `troubles`: the tables that cannot be published. `held`: the names of the
   * tables that the relay holds.
   */
  onTables(troubles: readonly SourceTrouble[], held: ReadonlySet<string>): void {
    const before = this.#tables;
    this.#tables = troubles.map(({ table, reason, detail, todo }) => ({
      ...{ table: table.slice(0, NAME_LENGTH), reason, held: held.has(table) },
      ...{ detail: detail.slice(0, TROUBLE_TEXT), todo: todo.slice(0, TROUBLE_TEXT) },
      since: before.find((known) => known.table === table && known.reason === reason)?.since ?? this.#now(),
    }));
    if (JSON.stringify(before) !== JSON.stringify(this.#tables)) this.#report();
  }

  /** The relay holds more of the log than before, or everything that the master had. */
  onProgress(): void {
    this.#progressedAt = this.#now();
    if (this.#fault === null) return;
    this.#fault = null;
    this.#report();
  }

  /** Waits until the last report is sent, or for a limited time. */
  async close(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, LAST_REPORT_MS);
    await Promise.race([this.#sending, promise]);
    clearTimeout(timer);
  }

  #report(): void {
    if (this.#sending !== null) {
      this.#outdated = true;
      return;
    }
    this.#sending = this.#sendAll();
  }

  /** Sends the present report, and again while it has changed meanwhile. */
  async #sendAll(): Promise<void> {
    do {
      this.#outdated = false;
      await this.#send({ fault: this.#fault, ...limited(this.#tables) }).catch(() => undefined);
    } while (this.#outdated);
    // In the same step as the check, so that no change falls between the two.
    this.#sending = null;
  }
}

/** Returns the tables for which a report has room, and the number of the others. */
function limited(all: readonly TableTrouble[]): Pick<FeedReport, 'tables' | 'more'> {
  let bytes = 0;
  const tables = all.slice(0, REPORTED_TABLES).filter((table) => {
    bytes += Buffer.byteLength(JSON.stringify(table));
    return bytes <= TABLES_BYTES;
  });
  return { tables, more: all.length - tables.length };
}
