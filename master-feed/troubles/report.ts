import { asTidemarkError, type TidemarkError } from '@tidemark/protocol/errors';
import {
  type FeedFault,
  FeedFaultCode,
  type FeedReportBody,
  REPORTED_TABLES,
  type TableTrouble,
  TROUBLE_TEXT,
} from '@tidemark/protocol/trouble';
import type { Log } from '../source.ts';

/**
 * Reports the feed's fault and its tables in trouble to the relay (F18).
 *
 * A report never delays a session: it is sent in the background, one at a time, and the newest replaces the ones that
 * wait. A report that fails is logged once and sent again with the next change.
 */

/** Sends a report to the relay. */
export type SendReport = (report: FeedReportBody) => Promise<void>;

export class TroubleReport {
  readonly #send: SendReport;
  readonly #log: Log;
  readonly #now: () => number;
  #fault: FeedFault | null = null;
  #tables: readonly TableTrouble[] = [];
  /** When the feed last made progress, or started, ms since 1970. */
  #progressAtMs: number;
  #sending = false;
  #changed = false;
  #failed = false;

  constructor(send: SendReport, log: Log, now: () => number) {
    this.#send = send;
    this.#log = log;
    this.#now = now;
    this.#progressAtMs = now();
  }

  /** Sets the fault of a failed attempt. A fault of the relay itself is reported when the next session opens. */
  setFault(error: TidemarkError, attempts: number): void {
    this.#fault = {
      code: FeedFaultCode.parse(error.code),
      detail: cut(error.message),
      since: this.#progressAtMs,
      attempts,
    };
    // The relay cannot receive a report that it does not answer, and may have asked for a wait.
    if (!error.code.startsWith('relay_')) this.send();
  }

  /** Notes that the feed makes progress, which ends a fault. */
  onProgress(): void {
    this.#progressAtMs = this.#now();
    if (this.#fault === null) return;
    this.#fault = null;
    this.send();
  }

  setTables(tables: readonly TableTrouble[]): void {
    const isSame = JSON.stringify(tables) === JSON.stringify(this.#tables);
    this.#tables = tables;
    if (!isSame) this.send();
  }

  /** Sends the present state, now or after the report that is on its way. */
  send(): void {
    this.#changed = true;
    if (!this.#sending) void this.#transmit();
  }

  async #transmit(): Promise<void> {
    this.#sending = true;
    while (this.#changed) {
      this.#changed = false;
      try {
        await this.#send(this.#report());
        this.#failed = false;
      } catch (error) {
        if (!this.#failed) this.#log('report-failed', { detail: asTidemarkError(error).message });
        this.#failed = true;
      }
    }
    this.#sending = false;
  }

  #report(): FeedReportBody {
    const tables = this.#tables.slice(0, REPORTED_TABLES).map((trouble) => ({
      ...trouble,
      table: trouble.table.slice(0, 200),
      detail: cut(trouble.detail),
      todo: cut(trouble.todo),
      since: new Date(trouble.since).toISOString(),
    }));
    const fault = this.#fault && { ...this.#fault, since: new Date(this.#fault.since).toISOString() };
    return { fault, tables, more: this.#tables.length - tables.length };
  }
}

const cut = (text: string) => (text.length <= TROUBLE_TEXT ? text : `${text.slice(0, TROUBLE_TEXT - 1)}…`);
