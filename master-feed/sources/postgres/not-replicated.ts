import { isNamed } from '@tidemark/protocol/table-names';
import type pg from 'pg';
import type { WantedTables } from '../../source.ts';
import type { PostgresTable } from './catalog.ts';
import { listOf } from './remedies.ts';
import { rows } from './sql.ts';

/**
 * Names the columns and relations that are not replicated by design, so that nothing is left out silently: those that
 * Postgres does not publish, and tables that relay.yaml leaves out. Each note is one sentence and names at most a few
 * relations.
 */

/** OID of the type oid. */
const OID_TYPE = 26;
const RELATIONS: [kind: string, name: string][] = [
  ['f', 'foreign tables'],
  ['m', 'materialized views'],
  ['v', 'views'],
  ['S', 'sequences'],
];

/** Returns the notes. `all` are all relations of the database, `tables` the published ones. */
export async function notReplicated(
  client: pg.Client,
  all: readonly PostgresTable[],
  tables: readonly PostgresTable[],
  wanted: WantedTables,
): Promise<string[]> {
  return [
    ...generatedColumns(tables),
    ...tables.flatMap((table) => inheritance(table, tables)),
    ...(wanted.listed === null ? unpublishedRelations(all, wanted) : []),
    ...(await largeObjects(client, tables)),
  ];
}

function generatedColumns(tables: readonly PostgresTable[]): string[] {
  const names = tables.flatMap(({ name, computed }) => computed.map((column) => `${name}.${column}`));
  return names.length === 0
    ? []
    : [
        `The master does not publish these generated columns, so terminals do not have them: ${listOf(names)}. Postgres 18 publishes stored ones and no virtual ones; older versions publish none.`,
      ];
}

function inheritance({ name, children }: PostgresTable, tables: readonly PostgresTable[]): string[] {
  if (children.length === 0) return [];
  const published = new Set(tables.map(({ id }) => id));
  const named = children.map(({ id, name: child }) => (published.has(id) ? child : `${child} (not published)`));
  return [
    `At terminals, ${name} holds only its own rows, without the rows of the tables that inherit from it: ${listOf(named)}. Each of these is a table of its own; combine them with UNION ALL.`,
  ];
}

function unpublishedRelations(all: readonly PostgresTable[], { except = [], held }: WantedTables): string[] {
  const isExcepted = ({ name }: PostgresTable) => except.some((entry) => isNamed(name, entry.name));
  const namesOf = (some: readonly PostgresTable[]) => listOf(some.map(({ name }) => name));
  const relations = all.filter(({ kind }) => kind === 'r' || kind === 'p');
  const unlogged = relations.filter((table) => table.unlogged && !held.has(table.name) && !isExcepted(table));
  const excepted = relations.filter(isExcepted);
  const unused = except.filter((entry) => !relations.some(({ name }) => isNamed(name, entry.name)));
  const others = RELATIONS.flatMap(([kind, what]) => {
    const found = all.filter((table) => table.kind === kind);
    return found.length === 0 ? [] : [`${what} (${namesOf(found)})`];
  });
  return [
    ...(unlogged.length === 0
      ? []
      : [`Unlogged tables are not replicated, because the log does not contain their changes: ${namesOf(unlogged)}.`]),
    ...(others.length === 0 ? [] : [`Only tables are replicated, without ${others.join(', ')}.`]),
    ...(excepted.length === 0 ? [] : [`relay.yaml leaves out ${namesOf(excepted)}.`]),
    ...unused.map(({ name, at }) => `${at === undefined ? '' : `${at}: `}${name} names no table at present.`),
  ];
}

/** Large objects are not in the log. A column of type oid may refer to them. */
async function largeObjects(client: pg.Client, tables: readonly PostgresTable[]): Promise<string[]> {
  const columns = tables.flatMap(({ name, columns: all }) =>
    all.filter(({ typeOid }) => typeOid === OID_TYPE).map((column) => `${name}.${column.name}`),
  );
  if (columns.length === 0) return [];
  const [found] = await rows(client, 'SELECT EXISTS (SELECT FROM pg_largeobject_metadata) AS some');
  return found?.some === 't'
    ? [`Large objects are not replicated. Columns that may refer to them hold only the number: ${listOf(columns)}.`]
    : [];
}
