import type { SessionAnswer } from '@tidemark/protocol/api';
import { sameSchema, type TableSchema } from '@tidemark/protocol/schema';
import type { SourceTable } from './catalog.ts';
import type { HeldTable } from './held-tables.ts';

type RelayTable = SessionAnswer['tables'][number];

/** A table with the id under which the relay knows it. */
export interface Numbered {
  id: number;
  table: SourceTable;
}

/** A table to be read anew, as an `L` line says it. */
export interface Load extends Numbered {
  from: number | null;
  columns: (string | null)[];
}

export interface ResyncPlan {
  /** Tables that the relay holds as they are. */
  kept: Numbered[];
  /** Tables to be read anew, in an order in which renames find their new names free, as far as there is one. */
  loads: Load[];
  /** Names of the relay's tables that are gone. */
  gone: string[];
}

export interface Standing {
  /** The relay's tables. */
  relay: readonly RelayTable[];
  nextTableId: number;
  /** What the relay held of the master's tables; null: not known, so all are read anew, and names are all there is to go by. */
  held: readonly HeldTable[] | null;
  /** Tables to be read anew whatever else is known, by OID. */
  suspects: ReadonlySet<number>;
}

/** Which of the master's tables the relay must be given anew, and what it has of each. */
export function planResync(tables: readonly SourceTable[], standing: Standing): ResyncPlan {
  const origins = findOrigins(tables, standing);
  const plan: ResyncPlan = { kept: [], loads: [], gone: [] };
  let next = standing.nextTableId;
  for (const table of tables) {
    const origin = origins.get(table.oid) ?? null;
    const same = origin !== null && sameSchema(origin.schema, table.schema);
    if (same && !standing.suspects.has(table.oid) && isHeld(table, standing.held)) {
      plan.kept.push({ id: origin.id, table });
      continue;
    }
    const id = same ? origin.id : next++;
    plan.loads.push({ id, table, from: origin?.id ?? null, columns: originsOfColumns(table, origin, standing.held) });
  }
  const used = new Set([...origins.values()].map(({ id }) => id));
  plan.gone = standing.relay.filter(({ id }) => !used.has(id)).map(({ schema }) => schema.name);
  plan.loads = inOrder(plan.loads, standing.relay);
  return plan;
}

/** The table of the relay that each of the master's was, by its OID. The relay compares: a wrong guess costs time, not rows. */
function findOrigins(tables: readonly SourceTable[], { relay, held }: Standing): Map<number, RelayTable> {
  const origins = new Map<number, RelayTable>();
  const free = new Set(relay);
  const claim = (wanted: (table: SourceTable, candidate: RelayTable) => boolean) => {
    for (const table of tables) {
      if (origins.has(table.oid)) continue;
      const found = [...free].find((candidate) => wanted(table, candidate));
      if (!found) continue;
      free.delete(found);
      origins.set(table.oid, found);
    }
  };
  const names = new Map(held?.map(({ oid, name }) => [oid, name]));
  claim((table, { schema }) => names.get(table.oid) === schema.name);
  claim((table, { schema }) => table.name.toLowerCase() === schema.name.toLowerCase());
  claim((table, { schema }) => sameSchema({ ...table.schema, name: schema.name }, schema));
  return origins;
}

function isHeld(table: SourceTable, held: readonly HeldTable[] | null): boolean {
  const before = held?.find(({ oid }) => oid === table.oid);
  if (before?.name !== table.name) return false;
  const { shape, attributes, file, published } = before.version;
  const rewritten = attributes !== table.version.attributes && file !== table.version.file;
  return shape === table.version.shape && published === table.version.published && !rewritten;
}

/** The old name of each column: by its number when that is known, else by its name, else that of the same type that stood in its place. */
function originsOfColumns(
  table: SourceTable,
  origin: RelayTable | null,
  held: readonly HeldTable[] | null,
): (string | null)[] {
  if (origin === null) return table.columns.map(() => null);
  const old = origin.schema.columns;
  const before = held?.find(({ oid, name }) => oid === table.oid && name === origin.schema.name);
  if (before && before.attnums.length === old.length)
    return table.columns.map(({ attnum }) => old[before.attnums.indexOf(attnum)]?.name ?? null);
  const has = (schema: TableSchema, name: string) => schema.columns.some((column) => column.name === name);
  return table.schema.columns.map(({ name, source }, i) => {
    if (has(origin.schema, name)) return name;
    const there = old[i];
    return there && there.source === source && !has(table.schema, there.name) ? there.name : null;
  });
}

/** First those whose new name no other is still to leave; of tables that swap their names one stands in the other's way. */
function inOrder(loads: Load[], relay: readonly RelayTable[]): Load[] {
  const oldName = (load: Load) => relay.find(({ id }) => id === load.from)?.schema.name.toLowerCase();
  const waiting = [...loads];
  const ordered: Load[] = [];
  while (waiting.length > 0) {
    const free = waiting.findIndex((load) =>
      waiting.every((other) => other === load || oldName(other) !== load.table.name.toLowerCase()),
    );
    ordered.push(...waiting.splice(Math.max(free, 0), 1));
  }
  return ordered;
}
