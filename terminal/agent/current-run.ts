import type { Cursor } from '@tidemark/protocol/cursor';
import type { Run } from '@tidemark/protocol/run';
import type { FactBook } from '../facts/fact-book.ts';
import type { RunState } from '../machine/run-state.ts';
import { RunRecord } from '../run/record/run-record.ts';

/** Keeps the record of the run under way, and turns the machine's state of a run into the run that people read. */
export class CurrentRun {
  readonly #book: FactBook;
  readonly #cursor: () => Cursor | null;
  readonly #listeners = new Set<(run: Run) => void>();
  #record: RunRecord | null = null;

  /** `cursor` returns the present cursor of the replica. */
  constructor(book: FactBook, cursor: () => Cursor | null) {
    this.#book = book;
    this.#cursor = cursor;
  }

  /** The record of the run under way. Null: none is. */
  get record(): RunRecord | null {
    return this.#record;
  }

  begin(run: RunState): void {
    this.#record = new RunRecord(run, this.#book.tables);
  }

  /** Returns the run up to now, with this outcome. */
  toRun(run: RunState, outcome: Run['outcome'], fault: Run['fault']): Run {
    const { tables, waiting } = this.#book;
    const record = this.#record ?? new RunRecord(run, tables);
    const left = waiting?.changes ?? null;
    return record.toRun(run, outcome, fault, { now: Date.now(), to: this.#cursor(), left, tables });
  }

  /** Returns the run that has ended, and forgets its record. */
  end(run: RunState, outcome: Run['outcome'], fault: Run['fault']): Run {
    const ended = this.toRun(run, outcome, fault);
    this.#record = null;
    return ended;
  }

  /** Passes a run that has ended to all listeners. */
  announce(run: Run): void {
    for (const listener of this.#listeners) listener(run);
  }

  /** Calls the listener with each run that ends. Returns the function that stops this. */
  listen(listener: (run: Run) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
