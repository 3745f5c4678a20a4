import type { SessionAnswer } from '@tidemark/protocol/api';
import type { FaultReports } from '../fault-reports.ts';
import type { DescribedTables, Log, TableFault } from '../source.ts';
import { DescriptionLog } from './description-log.ts';
import { type ChosenTables, TableTroubles } from './table-troubles.ts';

/** Logs each change of the troubles of tables, and reports it to the relay. */
export class ReportedTroubles {
  readonly tables: TableTroubles;
  readonly #log: Log;
  readonly #descriptions: DescriptionLog;
  readonly #reports: FaultReports | undefined;

  constructor(log: Log, now: () => number, reports?: FaultReports) {
    this.tables = new TableTroubles(now);
    this.#log = log;
    this.#descriptions = new DescriptionLog(log);
    this.#reports = reports;
  }

  onNotes(described: DescribedTables): void {
    this.#descriptions.onNotes(described);
  }

  setAside(fault: TableFault): void {
    this.tables.add(fault);
    const { table, reason, detail, todo } = fault.trouble;
    this.#log('set-aside', { table, reason, detail, todo });
  }

  choose(described: DescribedTables, session: SessionAnswer): ChosenTables {
    const chosen = this.tables.choose(described);
    this.report(chosen, session);
    return chosen;
  }

  report(chosen: ChosenTables, session: SessionAnswer): void {
    const troubles = [...chosen.troubles, ...this.tables.retried(chosen)];
    this.#descriptions.onTroubles(troubles);
    this.#reports?.onTables(troubles, namesOf(session));
  }
}

/** Returns the names of the tables that the relay holds. */
export const namesOf = ({ tables }: SessionAnswer) => new Set(tables.map(({ schema }) => schema.name));
