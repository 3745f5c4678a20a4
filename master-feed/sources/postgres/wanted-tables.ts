import { isNamed } from '@tidemark/protocol/table-names';
import type { WantedTables } from '../../source.ts';
import type { PostgresTable } from './catalog.ts';
import { nameClashes, type PublishRights, problemsOf, type TableProblem } from './table-problems.ts';

/**
 * Chooses the tables to publish from the catalogue and relay.yaml, and collects the problems of the others. Pure: it
 * reads neither the master nor relay.yaml.
 *
 * The relay's filters refer to tables by name. If relay.yaml names a table that does not exist, a new table could be that
 * table under another name, and terminals would receive all of its rows. So no new table is published then.
 */

/** A problem with its place in relay.yaml, if relay.yaml names the table. */
export type PlacedProblem = TableProblem & { at?: string };

export interface ChosenTables {
  tables: PostgresTable[];
  problems: PlacedProblem[];
}

export function chooseTables(all: readonly PostgresTable[], wanted: WantedTables, rights: PublishRights): ChosenTables {
  const { held } = wanted;
  const problems: PlacedProblem[] = missingTables(all, wanted);
  const isNew = ({ name }: PostgresTable) => held.size > 0 && !held.has(name);
  const mustWait = wanted.listed === null && problems.length > 0;
  const tables: PostgresTable[] = [];
  const tried: PostgresTable[] = [];
  for (const { table, at } of candidates(all, wanted)) {
    const found = problemsOf(table, rights);
    tried.push(table);
    if (mustWait && isNew(table)) found.push(waiting(table, problems));
    if (found.length === 0) tables.push(table);
    else problems.push(...found.map((problem) => (at === undefined ? problem : { ...problem, at })));
  }
  // At the first start, one round must name every problem, so a clash with a table that is not ready counts too.
  const clashes = nameClashes(held.size === 0 ? tried : tables, held);
  const clashing = new Set(clashes.map(({ id }) => id));
  return { tables: tables.filter(({ id }) => !clashing.has(id)), problems: [...problems, ...clashes] };
}

function candidates(
  all: readonly PostgresTable[],
  { listed, except = [], held }: WantedTables,
): { table: PostgresTable; at?: string }[] {
  if (listed !== null)
    return listed.flatMap(({ name, at }) =>
      all.filter((table) => table.name === name).map((table) => (at === undefined ? { table } : { table, at })),
    );
  return all
    .filter(({ kind, unlogged, name }) => (kind === 'r' || kind === 'p') && (!unlogged || held.has(name)))
    .filter((table) => !except.some(({ name }) => isNamed(table.name, name)))
    .map((table) => ({ table }));
}

/** Returns a problem for each name in relay.yaml that no relation has. */
function missingTables(
  all: readonly PostgresTable[],
  { listed, except = [], filtered = [] }: WantedTables,
): PlacedProblem[] {
  const exact = except.filter(({ name }) => !name.includes('*'));
  return (listed ?? [...exact, ...filtered])
    .filter(({ name }) => !all.some((table) => table.name === name))
    .map(({ name, at }) => ({
      id: null,
      table: name,
      reason: 'other',
      detail: `There is no table ${name}`,
      statements: [],
      otherwise: 'Correct its name in relay.yaml, or create it',
      ...(at === undefined ? {} : { at }),
    }));
}

function waiting(table: PostgresTable, missing: readonly TableProblem[]): TableProblem {
  const names = missing.map(({ table: name }) => name).join(', ');
  return {
    id: table.id,
    table: table.name,
    reason: 'not_published',
    detail: `relay.yaml names ${names}, and there is no such table. The new table ${table.name} could be that table under another name`,
    statements: [],
    otherwise: 'Correct the names in relay.yaml',
  };
}
