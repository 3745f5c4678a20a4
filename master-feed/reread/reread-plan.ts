import type { SessionAnswer } from '@tidemark/protocol/api';
import { sameSchema, type TableSchema } from '@tidemark/protocol/schema';
import type { KnownTable, NumberedTable, SourceTable } from '../source.ts';
import { isNew, type Mark, marksFor } from '../troubles/marks.ts';
import type { ChosenTables } from '../troubles/table-troubles.ts';

/**
 * Decides which tables to re-read, and from which table of the relay each of them originates. A pure function. A wrong
 * origin costs time but never rows, because the relay compares all rows of a re-read with its mirror.
 */

/** The relay's tables, from its answer to a session. */
export type RelayTables = Pick<SessionAnswer, 'tables' | 'nextTableId' | 'committedAt'>;
type RelayTable = RelayTables['tables'][number];

/** A table to re-read, with the fields of an `L` line. */
export interface Load extends NumberedTable {
  /** Number of the relay's table from which it originates; null for a new table. */
  from: number | null;
  /** The name of each column in that table; null for a new column. */
  columns: (string | null)[];
}

export interface RereadPlan {
  /** Tables that need no re-read, because the relay already holds their rows. */
  kept: NumberedTable[];
  /** Tables to re-read. If possible, renames are ordered so that no other table uses a new name when it is needed. */
  loads: Load[];
  /** Names of the relay's tables that no longer exist. */
  gone: string[];
  /** The relay's tables that are set aside. */
  marks: Mark[];
}

export interface RereadFacts {
  relay: RelayTables;
  /** Descriptions of the tables that the relay holds. If null, all tables are re-read and matched by name. */
  known: readonly KnownTable[] | null;
  /** Ids of tables that must be re-read even if they look unchanged. */
  suspects: ReadonlySet<number>;
  isUnchanged(table: SourceTable, known: KnownTable): boolean;
}

export function planReread(
  { tables, troubles }: Pick<ChosenTables, 'tables' | 'troubles'>,
  all: RereadFacts,
): RereadPlan {
  const marks = marksFor(all.relay, troubles, all.relay.nextTableId, all.known ?? []);
  const aside = new Set(marks.map(({ from }) => from));
  const facts = { ...all, relay: { ...all.relay, tables: all.relay.tables.filter(({ id }) => !aside.has(id)) } };
  const origins = findOrigins(tables, facts);
  const plan: RereadPlan = { kept: [], loads: [], gone: [], marks };
  let next = facts.relay.nextTableId + marks.filter(isNew).length;
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
  plan.loads = orderLoads(plan.loads, facts.relay.tables);
  return plan;
}

/**
 * Finds the relay's table from which each table originates, by table id. Matches by id first, then by name, then by
 * shape.
 */
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
 * Returns the old name of each column. Matches by column id if the ids are known. Otherwise it matches by name, or by
 * type and position if the old name no longer exists.
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

/**
 * Orders loads so that a table is renamed only after the previous owner of its new name. Tables that swap names have no
 * such order.
 */
function orderLoads(loads: readonly Load[], relay: readonly RelayTable[]): Load[] {
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
