import type { Source } from '../source.ts';

/** The master that the contract suite runs against. The test of each source implements it. */

/** One change of a table with the key `id` (integer) and the column `body` (text). */
export type ContractChange =
  | { op: 'insert'; table: string; id: number; body: string }
  | { op: 'update'; table: string; id: number; body: string }
  | { op: 'delete'; table: string; id: number }
  /** Changes the key of a row in one statement. */
  | { op: 'rekey'; table: string; id: number; to: number }
  | { op: 'truncate'; table: string };

/** A master that belongs to one test. */
export interface ContractMaster {
  /** Returns a source that is not open yet. All sources of a master belong to the same feed. */
  newSource(): Source;
  /** Creates a table with the columns `id` (integer, primary key) and `body` (text), and rows 1 to `rows`. */
  createTable(name: string, rows: number): Promise<void>;
  /** Adds a text column. Existing rows get the value 'new'. */
  addColumn(table: string, column: string): Promise<void>;
  renameTable(from: string, to: string): Promise<void>;
  /** Commits the changes in one transaction. */
  commit(changes: ContractChange[]): Promise<void>;
  /** Removes two prerequisites of the log reader. Returns one word per prerequisite, which the error must contain. */
  removePrerequisites(): Promise<string[]>;
  stop(): Promise<void>;
}
