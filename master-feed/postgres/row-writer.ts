import { TidemarkError } from '@tidemark/protocol/errors';
import type { LineWriter } from '../line-writer.ts';
import type { SourceTable } from './catalog.ts';
import { type Message, NULL, type Relation, type Tuple, UNCHANGED } from './pgoutput.ts';
import type { Numbered } from './resync-plan.ts';
import { toJson } from './values.ts';

interface Known extends Numbered {
  /** Indexes of the columns by which its rows are known, in key order; of a table without a key: all. */
  keyAt: number[];
}

export type RowMessage = Extract<Message, { kind: 'insert' | 'update' | 'delete' }>;

/** Writes rows of the replication stream as lines, for the tables that it knows. */
export class RowWriter {
  readonly #lines: LineWriter;
  readonly #byOid = new Map<number, Known>();
  /** OID of the table that a partition is of, by the partition's. */
  readonly #roots = new Map<number, number>();
  /** The partitioned table that was described last: the partition whose rows come as its own is described next. */
  #root: number | null = null;

  constructor(lines: LineWriter, tables: readonly Numbered[]) {
    this.#lines = lines;
    for (const { id, table } of tables) {
      const keyAt = table.key.map((name) => table.columns.findIndex((column) => column.name === name));
      this.#byOid.set(table.oid, { id, table, keyAt: keyAt.length > 0 ? keyAt : table.columns.map((_, i) => i) });
      for (const leaf of table.leaves) this.#roots.set(leaf.oid, table.oid);
    }
  }

  find(oid: number): Numbered | null {
    return this.#byOid.get(oid) ?? null;
  }

  /**
   * OIDs of what the stream describes otherwise than it is known, or of which nothing is known: the relation's, and of a
   * partition the table's. A partition that came and went leaves its table as it looked, without the rows that went with it.
   */
  unlike(relation: Relation): number[] {
    const { oid } = relation;
    const [root, known] = [this.#root, this.find(oid)];
    this.#root = known?.table.kind === 'p' ? oid : null;
    if (known) return isAs(known.table, relation) ? [] : [oid];
    const whole = this.#roots.get(oid) ?? null;
    const table = whole === root && root !== null ? this.find(root)?.table : undefined;
    // Its rows come in the columns of the whole table, but with what the partition's own log holds of old rows.
    if (table && logsKey(table, relation)) return [];
    return [oid, root, whole].filter((each) => each !== null);
  }

  forget(oid: number): void {
    this.#byOid.delete(oid);
  }

  truncate(oid: number): void {
    this.#lines.truncate(this.#declared(oid).id);
  }

  /** False: the log does not hold the key of the old row, so nothing was written, and only reading the table anew tells what became of it. */
  row(message: RowMessage): boolean {
    const known = this.#declared(message.oid);
    if (message.kind !== 'insert' && message.old !== null && lacksKey(known, message.old)) return false;
    if (message.kind === 'insert') this.#lines.row('i', known.id, rowJson(known, message.row, null));
    else if (message.kind === 'delete') this.#lines.row('d', known.id, keyJson(known, message.old));
    else this.#update(known, message.old, message.oldIsKey, message.row);
    return true;
  }

  #update(known: Known, old: Tuple | null, oldIsKey: boolean, row: Tuple): void {
    const { id, table } = known;
    // Only a whole old row can stand in for what the master left out. Of a partitioned table that says it sends
    // whole ones, a partition that does not sends NULL in their place.
    const filled = !oldIsKey && table.full ? old : null;
    const oldKey = old === null ? null : keyJson(known, old);
    const moved = oldKey !== null && oldKey !== keyJson(known, row, filled);
    // Of rows that are equal nobody can tell which one was meant.
    if (table.key.length === 0 && !moved) return;
    if (row.kinds.includes(UNCHANGED) && filled === null) {
      this.#lines.row('p', id, partialJson(known, row, moved ? oldKey : null));
    } else if (moved) {
      this.#lines.row('d', id, oldKey);
      this.#lines.row('i', id, rowJson(known, row, filled));
    } else {
      this.#lines.row('u', id, rowJson(known, row, filled));
    }
  }

  #declared(oid: number): Known {
    const known = this.#byOid.get(oid);
    if (!known) throw new Error(`a change of the table ${oid}, which is not known`);
    this.#lines.declare(known.id, known.table.schema);
    return known;
  }
}

/** Whether a table still is what the stream says it was. */
function isAs(table: SourceTable, relation: Relation): boolean {
  return (
    table.namespace === relation.namespace &&
    table.relation === relation.name &&
    table.columns.length === relation.columns.length &&
    table.columns.every(
      (column, i) =>
        column.name === relation.columns[i]?.name &&
        column.typeOid === relation.columns[i]?.typeOid &&
        column.modifier === relation.columns[i]?.modifier,
    ) &&
    keyIsAs(table, relation)
  );
}

function keyIsAs({ key, kind }: SourceTable, { identity, columns }: Relation): boolean {
  if (identity === 'f') return true;
  // What the log holds of a partitioned table's rows, its partitions say.
  if (kind === 'p') return key.length > 0;
  const sent = columns.filter((column) => column.key).map(({ name }) => name);
  return key.length > 0 && key.length === sent.length && key.every((name) => sent.includes(name));
}

/** Whether the log of a table's partition holds of old rows what the table's must. */
function logsKey({ key, full }: SourceTable, { identity, columns }: Relation): boolean {
  if (identity === 'f' || full) return identity === 'f';
  return key.length > 0 && key.every((name) => columns.some((column) => column.key && column.name === name));
}

function valueJson(known: Known, row: Tuple, column: number, fill: Tuple | null): string {
  const from = row.kinds[column] === UNCHANGED && fill ? fill : row;
  const kind = from.kinds[column];
  if (kind === NULL) return 'null';
  if (kind === UNCHANGED)
    throw new TidemarkError('source_unsupported', { detail: `a value of ${known.table.name} was left out` });
  return toJson(known.table.columns[column]?.form ?? 'text', from.bytes, from.from[column] ?? 0, from.to[column] ?? 0);
}

/** A column that the log leaves out of an old row comes as NULL, which no key column is. */
function lacksKey({ table, keyAt }: Known, old: Tuple): boolean {
  return table.key.length > 0 && keyAt.some((column) => old.kinds[column] === NULL);
}

function rowJson(known: Known, row: Tuple, fill: Tuple | null): string {
  let json = '[';
  for (let c = 0; c < row.kinds.length; c++) {
    if (c > 0) json += ',';
    json += valueJson(known, row, c, fill);
  }
  return `${json}]`;
}

function keyJson(known: Known, row: Tuple, fill: Tuple | null = null): string {
  return `[${known.keyAt.map((column) => valueJson(known, row, column, fill)).join(',')}]`;
}

function partialJson(known: Known, row: Tuple, oldKey: string | null): string {
  const present = row.kinds.flatMap((kind, c) => (kind === UNCHANGED ? [] : [c]));
  return `[${oldKey ?? 'null'},[${present.join(',')}],[${present.map((c) => valueJson(known, row, c, null)).join(',')}]]`;
}
