import { TidemarkError } from '@tidemark/protocol/errors.ts';
import type { LineWriter } from '../line-writer.ts';
import type { SourceTable } from './catalog.ts';
import { toPosition } from './lsn.ts';
import { type Message, NULL, type Relation, type Tuple, UNCHANGED } from './pgoutput.ts';
import { toJson } from './values.ts';

/** The master's tables no longer look as they did when the session began: only a base brings the relay there. */
export class SchemaChanged extends Error {
  override readonly name = 'SchemaChanged';
}

interface Known {
  id: number;
  table: SourceTable;
  /** Indexes of the key's columns, in key order. */
  keyAt: number[];
}

/** Writes the messages of the replication stream as lines. A transaction without published changes leaves no line. */
export class TransactionWriter {
  readonly #lines: LineWriter;
  readonly #byOid = new Map<number, Known>();
  #begun: { position: string; committedAt: string } | null = null;
  #written = false;

  /** `tables`: the published tables with the ids under which the relay knows them. */
  constructor(lines: LineWriter, tables: { id: number; table: SourceTable }[]) {
    this.#lines = lines;
    for (const { id, table } of tables) {
      const keyAt = table.key.map((name) => table.columns.findIndex((column) => column.name === name));
      this.#byOid.set(table.oid, { id, table, keyAt });
    }
  }

  /** Whether a transaction has begun and not ended. */
  get open(): boolean {
    return this.#begun !== null;
  }

  heartbeat(position: string, masterTime: string, current: boolean): void {
    this.#lines.heartbeat(position, masterTime, current);
  }

  take(message: Message): void {
    switch (message.kind) {
      case 'begin':
        this.#begun = { position: toPosition(message.commitLsn), committedAt: message.committedAt };
        this.#written = false;
        return;
      case 'commit':
        if (this.#written) this.#lines.commit();
        this.#begun = null;
        return;
      case 'relation':
        this.#expect(message.relation);
        return;
      case 'insert': {
        const known = this.#table(message.oid);
        this.#lines.row('i', known.id, rowJson(known, message.row, null));
        return;
      }
      case 'update':
        this.#update(this.#table(message.oid), message.old, message.oldIsKey, message.row);
        return;
      case 'delete': {
        const known = this.#table(message.oid);
        this.#lines.row('d', known.id, keyJson(known, message.old));
        return;
      }
      case 'truncate':
        for (const oid of message.oids) this.#lines.truncate(this.#table(oid).id);
        return;
      case 'other':
        return;
    }
  }

  #update(known: Known, old: Tuple | null, oldIsKey: boolean, row: Tuple): void {
    const { id } = known;
    // Only a whole old row can stand in for what the master left out.
    const filled = old !== null && !oldIsKey ? old : null;
    const oldKey = old === null ? null : keyJson(known, old);
    const moved = oldKey !== null && oldKey !== keyJson(known, row, filled);
    if (row.kinds.includes(UNCHANGED) && filled === null) {
      this.#lines.row('p', id, partialJson(known, row, moved ? oldKey : null));
    } else if (moved) {
      this.#lines.row('d', id, oldKey);
      this.#lines.row('i', id, rowJson(known, row, filled));
    } else {
      this.#lines.row('u', id, rowJson(known, row, filled));
    }
  }

  /** The table of a change; its transaction is begun with its first change. */
  #table(oid: number): Known {
    const known = this.#byOid.get(oid);
    if (!known) throw new SchemaChanged(`a table with the id ${oid} is not known`);
    if (!this.#written) {
      if (!this.#begun) throw new TidemarkError('source_unsupported', { detail: 'a change outside of a transaction' });
      this.#lines.begin(this.#begun.position, this.#begun.committedAt);
      this.#written = true;
    }
    this.#lines.declare(known.id, known.table.schema);
    return known;
  }

  /** Throws SchemaChanged when a relation is not as it was declared. */
  #expect(relation: Relation): void {
    const table = this.#byOid.get(relation.oid)?.table;
    if (!table) throw new SchemaChanged(`${relation.namespace}.${relation.name} is new`);
    const same =
      table.namespace === relation.namespace &&
      table.relation === relation.name &&
      table.columns.length === relation.columns.length &&
      table.columns.every(
        (column, i) =>
          column.name === relation.columns[i]?.name &&
          column.typeOid === relation.columns[i]?.typeOid &&
          column.modifier === relation.columns[i]?.modifier,
      ) &&
      (relation.identity === 'f' ||
        sameSet(
          table.key,
          relation.columns.filter(({ key }) => key).map(({ name }) => name),
        ));
    if (!same) throw new SchemaChanged(`${relation.namespace}.${relation.name} was altered`);
  }
}

const sameSet = (a: string[], b: string[]) => a.length === b.length && a.every((name) => b.includes(name));

function valueJson(known: Known, row: Tuple, column: number, fill: Tuple | null): string {
  const from = row.kinds[column] === UNCHANGED && fill ? fill : row;
  const kind = from.kinds[column];
  if (kind === NULL) return 'null';
  if (kind === UNCHANGED)
    throw new TidemarkError('source_unsupported', { detail: `a value of ${known.table.name} was left out` });
  return toJson(known.table.columns[column]?.form ?? 'text', from.bytes, from.from[column] ?? 0, from.to[column] ?? 0);
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
