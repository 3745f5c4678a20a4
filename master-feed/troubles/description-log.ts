import type { DescribedTables, Log, SourceTrouble } from '../source.ts';

/**
 * Logs the tables in trouble, and the columns and relations that are not replicated. Logs each list only when it differs
 * from the last one, because every session and every check of the catalogue produces it.
 */
export class DescriptionLog {
  readonly #log: Log;
  #troubles = '';
  #notes = '';

  constructor(log: Log) {
    this.#log = log;
  }

  onNotes({ notes }: DescribedTables): void {
    const text = notes.join('\n');
    if (text !== this.#notes && text !== '') this.#log('not-replicated', { notes });
    this.#notes = text;
  }

  onTroubles(troubles: readonly SourceTrouble[]): void {
    // Another table with the same name and trouble is logged too.
    const state = JSON.stringify(troubles);
    if (state !== this.#troubles && troubles.length > 0)
      this.#log('not-ready', { detail: troubles.map(lineOf).join('\n') });
    this.#troubles = state;
  }
}

const lineOf = ({ detail, todo }: SourceTrouble) => (todo === '' ? detail : `${detail} ${todo}`);
