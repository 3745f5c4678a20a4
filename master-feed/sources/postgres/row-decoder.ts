import { ROW_BYTES } from '@tidemark/protocol/page';
import { type LogSink, type NumberedTable, TableFault } from '../../source.ts';
import type { PostgresTable } from './catalog.ts';
import { toPosition } from './lsn.ts';
import { type Message, NULL, type Relation, type Tuple, UNCHANGED } from './pgoutput.ts';
import { requireRawSize } from './raw-size.ts';
import { toJson, unknownForm } from './values.ts';

interface Known extends NumberedTable {
  table: PostgresTable;
  /** Indexes of the columns that identify a row, in key order. All columns if the table has no key. */
  keyAt: number[];
}

type RowMessage = Extract<Message, { kind: 'insert' | 'update' | 'delete' }>;

/**
 * Converts messages of the replication stream to calls of a sink, for the known tables.
 *
 * It follows a table only while the stream's description of it equals the catalogue's. If they differ, or if the log
 * does not contain the key of an old row, it reports the table as altered and ignores its further changes.
 */
export class RowDecoder {
  readonly #sink: LogSink;
  readonly #byOid = new Map<number, Known>();
  /** OID of the partitioned table, by the OID of each partition. */
  readonly #roots = new Map<number, number>();
  /** The partitioned table that the stream described last. The descriptions of its partitions follow directly. */
  #root: number | null = null;
  /** OIDs of relations whose changes are dropped. */
  readonly #ignored: ReadonlySet<number>;
  /** Whether the stream described a dropped relation last. Descriptions of its partitions follow directly. */
  #afterIgnored = false;
  #open = false;

  /** `ignored`: OIDs of relations whose changes the log may contain although the feed does not publish them. */
  constructor(
    sink: LogSink,
    tables: readonly (NumberedTable & { table: PostgresTable })[],
    ignored: ReadonlySet<number> = new Set(),
  ) {
    this.#sink = sink;
    this.#ignored = ignored;
    for (const { number, table } of tables) {
      const keyAt = table.key.map((name) => table.columns.findIndex((column) => column.name === name));
      this.#byOid.set(table.id, { number, table, keyAt: keyAt.length > 0 ? keyAt : table.columns.map((_, i) => i) });
      for (const leaf of table.leaves) this.#roots.set(leaf.oid, table.id);
    }
  }

  /** Whether a transaction is open. */
  get open(): boolean {
    return this.#open;
  }

  handle(message: Message): void {
    switch (message.kind) {
      case 'begin':
        this.#open = true;
        this.#sink.begin(toPosition(message.commitLsn), message.committedAt);
        return;
      case 'commit':
        this.#open = false;
        this.#sink.commit();
        return;
      case 'relation': {
        const { namespace, name } = message.relation;
        this.#forget(this.#alteredBy(message.relation), `${namespace}.${name} is new or was altered`);
        return;
      }
      case 'insert':
      case 'update':
      case 'delete': {
        const known = this.#byOid.get(message.oid);
        if (known) this.#row(known, message);
        return;
      }
      case 'truncate':
        for (const oid of message.oids) {
          const known = this.#byOid.get(oid);
          if (known) this.#sink.truncate(known);
        }
        return;
      case 'other':
        return;
    }
  }

  /**
   * Returns the OIDs of tables that a description in the stream shows as altered: an unknown relation, a relation that
   * differs from the catalogue, and the root table of such a partition. The root is included because a partition that
   * was attached and detached again changes the root's rows but not its description.
   */
  #alteredBy(relation: Relation): number[] {
    const { oid } = relation;
    const [root, known, parent] = [this.#root, this.#byOid.get(oid), this.#roots.get(oid) ?? null];
    const afterIgnored = this.#afterIgnored;
    this.#root = known?.table.kind === 'p' ? oid : null;
    this.#afterIgnored = root === null && this.#ignored.has(oid);
    if (known) return matchesCatalogue(known.table, relation) ? [] : [oid];
    // Before the first change of a partition, the stream describes its root table and then the partition.
    if (root === null && parent === null && (this.#ignored.has(oid) || afterIgnored)) return [];
    const table = parent === root && root !== null ? this.#byOid.get(root)?.table : undefined;
    // New rows of a partition have the columns of the root table. Old rows have only the columns that the partition
    // logs.
    if (table && logsKey(table, relation)) return [];
    return [oid, root, parent].filter((found) => found !== null);
  }

  #forget(oids: number[], why: string): void {
    if (oids.length === 0) return;
    for (const oid of oids) this.#byOid.delete(oid);
    this.#sink.altered(oids, why);
  }

  #row(known: Known, message: RowMessage): void {
    requireSize(known.table, message);
    if (message.kind !== 'insert' && message.old !== null && isMissingKey(known, message.old)) {
      this.#forget([message.oid], `the log does not hold the key of an old row of ${known.table.name}`);
      return;
    }
    if (message.kind === 'insert') this.#sink.row('insert', known, rowJson(known, message.row, null));
    else if (message.kind === 'delete') this.#sink.row('delete', known, keyJson(known, message.old));
    else this.#update(known, message.old, message.oldIsKey, message.row);
  }

  #update(known: Known, old: Tuple | null, oldIsKey: boolean, row: Tuple): void {
    const { table } = known;
    // Only a complete old row can supply the values that the master omitted. A partition without REPLICA IDENTITY FULL
    // sends NULL for them even if its root table is declared to log complete rows.
    const filled = !oldIsKey && table.full ? old : null;
    const oldKey = old === null ? null : keyJson(known, old);
    const moved = oldKey !== null && oldKey !== keyJson(known, row, filled);
    // An update of a keyless table that changes no value leaves its multiset of rows unchanged.
    if (table.key.length === 0 && !moved) return;
    if (row.kinds.includes(UNCHANGED) && filled === null) {
      this.#sink.row('partial', known, partialJson(known, row, moved ? oldKey : null));
    } else if (moved) {
      this.#sink.row('delete', known, oldKey);
      this.#sink.row('insert', known, rowJson(known, row, filled));
    } else {
      this.#sink.row('update', known, rowJson(known, row, filled));
    }
  }
}

/** Throws TableFault if a row of the message is too large to convert. */
function requireSize(table: PostgresTable, message: RowMessage): void {
  for (const tuple of [
    message.kind === 'delete' ? null : message.row,
    message.kind === 'insert' ? null : message.old,
  ]) {
    if (tuple === null || tuple.bytes.length <= ROW_BYTES) continue;
    const { bytes, from, to } = tuple;
    const lengths = to.map((end, column) => end - (from[column] ?? end));
    requireRawSize(table, lengths, (column) => bytes.toString('utf8', from[column], to[column]));
  }
}

/** Reports whether the stream's description of a table equals the catalogue's. */
function matchesCatalogue(table: PostgresTable, relation: Relation): boolean {
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

function keyIsAs({ key, kind }: PostgresTable, { identity, columns }: Relation): boolean {
  if (identity === 'f') return true;
  // The partitions determine which columns of old rows the log contains.
  if (kind === 'p') return key.length > 0;
  const sent = columns.filter((column) => column.key).map(({ name }) => name);
  return key.length > 0 && key.length === sent.length && key.every((name) => sent.includes(name));
}

/**
 * Reports whether the log of a partition contains the key of old rows, or all columns if its root table is declared to
 * log them.
 */
function logsKey({ key, full }: PostgresTable, { identity, columns }: Relation): boolean {
  if (identity === 'f' || full) return identity === 'f';
  return key.length > 0 && key.every((name) => columns.some((column) => column.key && column.name === name));
}

function valueJson(known: Known, row: Tuple, column: number, fill: Tuple | null): string {
  const from = row.kinds[column] === UNCHANGED && fill ? fill : row;
  const kind = from.kinds[column];
  if (kind === NULL) return 'null';
  if (kind === UNCHANGED)
    throw new TableFault({
      id: known.table.id,
      table: known.table.name,
      reason: 'value_unknown',
      detail: `the master left out a value of ${known.table.name}`,
      todo: 'No action is needed: the feed reads the table again.',
    });
  const { table } = known;
  const form = table.columns[column]?.form ?? 'text';
  const json = toJson(form, from.bytes, from.from[column] ?? 0, from.to[column] ?? 0);
  if (json === null) throw unknownForm({ table, column });
  return json;
}

/**
 * Reports whether an old row is missing a key value. The log sends NULL for columns that it omits, and key columns are
 * never NULL.
 */
function isMissingKey({ table, keyAt }: Known, old: Tuple): boolean {
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
