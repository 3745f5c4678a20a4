import type { SessionAnswer } from '@tidemark/protocol/api';
import { sameSchema, type TableSchema } from '@tidemark/protocol/schema';
import type { KnownTable, NumberedTable, SourceTable } from '../source.ts';

/**
 * Decides which tables to re-read, and which table of the relay each of them was. A pure function. A wrong guess about a
 * table's origin costs time, never rows: the relay compares all rows of a re-read with its mirror.
 */

/** The relay's tables, from its answer to a session. */
export type RelayTables = Pick<SessionAnswer, 'tables' | 'nextTableId'>;
type RelayTable = RelayTables['tables'][number];

/** A table to re-read, as an `L` line of the wire says it. */
export interface Load extends NumberedTable {
  /** Number of the table that it was at the relay; null: none. */
  from: number | null;
  /** The name that each column had there; null: none. */
  columns: (string | null)[];
}

export interface RereadPlan {
  /** Tables whose rows the relay holds. */
  kept: NumberedTable[];
  /** Tables to re-read. Renames are ordered so that each finds its new name free, where such an order exists. */
  loads: Load[];
  /** Names of the relay's tables that no longer exist. */
  gone: string[];
}

export interface RereadFacts {
  relay: RelayTables;
  /** How the tables looked that the relay holds; null: not known, so all are re-read and matched by name. */
  known: readonly KnownTable[] | null;
  /** Ids of tables to re-read whatever else is known. */
  suspects: ReadonlySet<number>;
  isUnchanged(table: SourceTable, known: KnownTable): boolean;
}

export function planReread(tables: readonly SourceTable[], facts: RereadFacts): RereadPlan {
  const origins = findOrigins(tables, facts);
  const plan: RereadPlan = { kept: [], loads: [], gone: [] };
  let next = facts.relay.nextTableId;
  for (const table of tables) {
    const origin = origins.get(table.id) ?? null;
    const same = origin !== null && sameSchema(origin.schema, table.schema);
    if (same && !facts.suspects.has(table.id) && isHeld(table, facts)) {
      plan.kept.push({ number: origin.id, table });
      continue;
    }
    const number = same ? origin.id : next++;
    const columns = originsOfColumns(table, origin, facts.known);
    plan.loads.push({ number, table, from: origin?.id ?? null, columns });
  }
  const used = new Set([...origins.values()].map(({ id }) => id));
  plan.gone = facts.relay.tables.filter(({ id }) => !used.has(id)).map(({ schema }) => schema.name);
  plan.loads = inOrder(plan.loads, facts.relay.tables);
  return plan;
}

/** The relay's table that each table was, by the table's id. The surest match comes first: id, then name, then shape. */
function findOrigins(tables: readonly SourceTable[], { relay, known }: RereadFacts): Map<number, RelayTable> {
  const origins = new Map<number, RelayTable>();
  const free = new Set(relay.tables);
  const claim = (matches: (table: SourceTable, candidate: RelayTable) => boolean) => {
    for (const table of tables) {
      if (origins.has(table.id)) continue;
      const found = [...free].find((candidate) => matches(table, candidate));
      if (!found) continue;
      free.delete(found);
      origins.set(table.id, found);
    }
  };
  const names = new Map(known?.map(({ id, name }) => [id, name]));
  claim((table, { schema }) => names.get(table.id) === schema.name);
  claim((table, { schema }) => table.schema.name.toLowerCase() === schema.name.toLowerCase());
  claim((table, { schema }) => sameSchema({ ...table.schema, name: schema.name }, schema));
  return origins;
}

function isHeld(table: SourceTable, { known, isUnchanged }: RereadFacts): boolean {
  const before = known?.find(({ id }) => id === table.id);
  return before !== undefined && before.name === table.schema.name && isUnchanged(table, before);
}

/**
 * The old name of each column. A known column id decides. Otherwise the name does, or the type and place of
 * a column whose name is gone.
 */
function originsOfColumns(
  table: SourceTable,
  origin: RelayTable | null,
  known: readonly KnownTable[] | null,
): (string | null)[] {
  if (origin === null) return table.schema.columns.map(() => null);
  const old = origin.schema.columns;
  const before = known?.find(({ id, name }) => id === table.id && name === origin.schema.name);
  if (before && before.columnIds.length === old.length)
    return table.columnIds.map((id) => old[before.columnIds.indexOf(id)]?.name ?? null);
  const has = (schema: TableSchema, name: string) => schema.columns.some((column) => column.name === name);
  return table.schema.columns.map(({ name, source }, i) => {
    if (has(origin.schema, name)) return name;
    const inPlace = old[i];
    return inPlace && inPlace.source === source && !has(table.schema, inPlace.name) ? inPlace.name : null;
  });
}

/** Loads whose new name no other load still has to leave come first. Tables that swap names have no such order. */
function inOrder(loads: readonly Load[], relay: readonly RelayTable[]): Load[] {
  const oldName = (load: Load) => relay.find(({ id }) => id === load.from)?.schema.name.toLowerCase();
  const waiting = [...loads];
  const ordered: Load[] = [];
  while (waiting.length > 0) {
    const free = waiting.findIndex((load) =>
      waiting.every((other) => other === load || oldName(other) !== load.table.schema.name.toLowerCase()),
    );
    ordered.push(...waiting.splice(Math.max(free, 0), 1));
  }
  return ordered;
}
