import { TableSchema } from '@tidemark/protocol/schema';
import type { SetAsideReason } from '@tidemark/protocol/trouble';
import { type Leaf, leavesWithoutKey, type PostgresTable, qualified } from './catalog.ts';

/**
 * Finds everything that prevents a table from being published, each with its remedy. It returns all problems of a table,
 * so that a database administrator can correct them in one step. It reads only the description of the table.
 */

/** A statement that removes a problem. `grant-*` statements of several tables can be combined. */
export type Statement =
  | { kind: 'grant-usage'; schema: string }
  | { kind: 'grant-select'; table: PostgresTable }
  | { kind: 'bypass-rls' }
  | { kind: 'publish'; table: PostgresTable; isListed: boolean }
  | { kind: 'sql'; sql: string };

export interface TableProblem {
  /** The table's OID. Null if there is no such table. */
  id: number | null;
  /** The table's name at the replica. */
  table: string;
  reason: SetAsideReason;
  /** The cause, as a sentence that names the table. */
  detail: string;
  /** Statements that remove the problem together. Empty if only the administrator can decide. */
  statements: Statement[];
  /** A remedy without a statement, or another one. A sentence, or empty. */
  otherwise: string;
}

/** The rights of the feed's user on the publication. */
export interface PublishRights {
  /** The user's name, quoted where SQL requires it. */
  user: string;
  isSuperuser: boolean;
  /** Whether the user owns the publication, or may own it because there is none yet. */
  ownsPublication: boolean;
  /** By the OID of each table in the publication, whether it is published without a row filter or column list. */
  published: ReadonlyMap<number, boolean>;
}

const KINDS: Record<string, string> = { v: 'a view', m: 'a materialized view', f: 'a foreign table', S: 'a sequence' };
/** The names of the rowid in SQLite. A table without a key needs one of them. */
const ROWID_NAMES = ['rowid', '_rowid_', 'oid'];
/** Largest number of columns of a table in SQLite. */
const MOST_COLUMNS = 2_000;
const OMIT = 'leave the table out of relay.yaml (publish.except, or tables)';

/** Returns the problems of a table. */
export function problemsOf(table: PostgresTable, rights: PublishRights): TableProblem[] {
  const problem = problemFor(table);
  const kindName = KINDS[table.kind];
  if (kindName)
    return [
      problem(
        'not_supported',
        `${table.name} is ${kindName}, and only tables can be published`,
        [],
        'Remove it from relay.yaml',
      ),
    ];
  const found: TableProblem[] = [];
  if (table.unlogged)
    found.push(
      problem(
        'not_supported',
        `${table.name} is unlogged`,
        [sql(`ALTER TABLE ${qualified(table)} SET LOGGED;`)],
        'Or remove it from relay.yaml',
      ),
    );
  return [
    ...found,
    ...rightProblems(table, rights),
    ...keyProblems(table),
    ...partitionProblems(table),
    ...formProblems(table),
  ];
}

function rightProblems(table: PostgresTable, rights: PublishRights): TableProblem[] {
  const problem = problemFor(table);
  const { name } = table;
  const { user, published } = rights;
  const found: TableProblem[] = [];
  if (!table.reachable)
    found.push(
      problem('not_readable', `The user ${user} does not have USAGE on the schema ${table.namespace} of ${name}`, [
        { kind: 'grant-usage', schema: table.namespace },
      ]),
    );
  if (!table.readable) {
    const part = table.partlyReadable ? ', only some of its columns' : '';
    found.push(
      problem('not_readable', `The user ${user} is not allowed to read ${name}${part}`, [
        { kind: 'grant-select', table },
      ]),
    );
  }
  if (table.policed)
    found.push(
      problem('not_readable', `Row-level security of ${name} hides rows from the user ${user}`, [
        { kind: 'bypass-rls' },
      ]),
    );
  const mayPublish = rights.isSuperuser || (table.owned && rights.ownsPublication);
  if (!mayPublish && published.get(table.id) !== true)
    found.push(
      problem(
        'not_published',
        `The user ${user} is not allowed to publish ${name}, because it does not own ${table.owned ? 'the publication' : 'the table'}`,
        [{ kind: 'publish', table, isListed: published.has(table.id) }],
      ),
    );
  return found;
}

function keyProblems(table: PostgresTable): TableProblem[] {
  const { name, key, leaves } = table;
  const problem = problemFor(table);
  const addKey = `ALTER TABLE ${qualified(table)} ADD PRIMARY KEY (…);`;
  if (key.length === 0) {
    if (hasNoRowid(table))
      return [
        problem(
          'not_supported',
          `${name} has no key, and its columns ${ROWID_NAMES.join(', ')} hide every name by which SQLite finds a row`,
          [],
          `Run ${addKey} or rename one of these columns, or ${OMIT}`,
        ),
      ];
    return table.full ? [] : [keyless(table, addKey)];
  }
  const missing = key.filter((column) => !table.columns.some(({ name: present }) => present === column));
  if (missing.length > 0)
    return [
      problem(
        'no_key',
        `The key of ${name} contains the generated column ${missing.join(', ')}, which the master does not publish`,
        [],
        `Use a key without that column, or ${OMIT}`,
      ),
    ];
  const without = leavesWithoutKey(leaves, key);
  if (without.length === 0) return [];
  return [
    problem(
      'no_key',
      `The log of partitions of ${name} does not contain its key (${key.join(', ')})`,
      without.map((leaf) => sql(`ALTER TABLE ${leaf.name} REPLICA IDENTITY FULL;`)),
      'Or, with an index on the key: ALTER TABLE … REPLICA IDENTITY USING INDEX …;',
    ),
  ];
}

/** Returns the problem of a table that has no key and no replica identity. */
function keyless(table: PostgresTable, addKey: string): TableProblem {
  const { name, leaves } = table;
  const relations =
    leaves.length > 0
      ? [qualified(table), ...leaves.filter(({ full }) => !full).map((leaf) => leaf.name)]
      : [qualified(table)];
  return problemFor(table)(
    'no_key',
    `${name} has no key that identifies its rows`,
    relations.map((relation) => sql(`ALTER TABLE ${relation} REPLICA IDENTITY FULL;`)),
    `Better, if it can have a key: ${addKey} or ALTER TABLE ${qualified(table)} REPLICA IDENTITY USING INDEX …; or ${OMIT}`,
  );
}

function hasNoRowid({ columns }: PostgresTable): boolean {
  const names = new Set(columns.map(({ name }) => name.toLowerCase()));
  return ROWID_NAMES.every((name) => names.has(name));
}

/** Returns the problems of partitions whose changes are not in the log. The rows of a copy would never change. */
function partitionProblems(table: PostgresTable): TableProblem[] {
  const of = (kind: Leaf['unlogged']) => table.leaves.filter(({ unlogged }) => unlogged === kind);
  const names = (leaves: Leaf[]) => leaves.map(({ name }) => name).join(', ');
  const [unlogged, foreign] = [of('unlogged'), of('foreign')];
  const problem = problemFor(table);
  return [
    ...(unlogged.length === 0
      ? []
      : [
          problem(
            'not_supported',
            `The partitions ${names(unlogged)} of ${table.name} are unlogged, so the log does not contain their changes`,
            unlogged.map((leaf) => sql(`ALTER TABLE ${leaf.name} SET LOGGED;`)),
          ),
        ]),
    ...(foreign.length === 0
      ? []
      : [
          problem(
            'not_supported',
            `The partitions ${names(foreign)} of ${table.name} are foreign tables, so the log does not contain their changes`,
            [],
            `Detach them, or ${OMIT}`,
          ),
        ]),
  ];
}

/** Returns the problems of a table that SQLite cannot hold in this form. */
function formProblems(table: PostgresTable): TableProblem[] {
  const { name, columns } = table;
  const problem = problemFor(table);
  const because = (detail: string, otherwise: string) => [problem('not_supported', detail, [], otherwise)];
  if (columns.length === 0)
    return because(`${name} has no column that the master publishes`, `Add a column, or ${OMIT}`);
  if (columns.length > MOST_COLUMNS)
    return because(
      `${name} has ${columns.length} columns, and SQLite holds ${MOST_COLUMNS}`,
      `To replicate the other tables, ${OMIT}`,
    );
  const fits = TableSchema.safeParse(table.schema);
  if (fits.success) return [];
  return because(
    `${name} cannot be a table in SQLite: ${fits.error.issues.map((issue) => issue.message).join('; ')}`,
    `Rename the table or the column, or ${OMIT}`,
  );
}

/**
 * Returns a problem for each table whose name differs from another table's only in case, which SQLite ignores. A table
 * that the relay holds keeps the name, and only the others have the problem.
 */
export function nameClashes(tables: readonly PostgresTable[], held: ReadonlySet<string>): TableProblem[] {
  return [...Map.groupBy(tables, ({ name }) => name.toLowerCase()).values()]
    .filter((group) => group.length > 1)
    .flatMap((group) => {
      const detail = `${group.map(qualified).join(' and ')} cannot both be tables in SQLite, which ignores case in names: there they would be ${group.map(({ name }) => name).join(' and ')}`;
      const [keeper] = group.filter(({ name }) => held.has(name)).sort((a, b) => a.id - b.id);
      return group
        .filter((table) => table !== keeper)
        .map((table) =>
          problemFor(table)(
            'not_supported',
            detail,
            [],
            `Rename all but one, or leave all but one out of relay.yaml (publish.except, or tables)`,
          ),
        );
    });
}

const sql = (text: string): Statement => ({ kind: 'sql', sql: text });

const problemFor =
  (table: PostgresTable) =>
  (reason: SetAsideReason, detail: string, statements: Statement[], otherwise = ''): TableProblem => ({
    id: table.id,
    table: table.name,
    reason,
    detail,
    statements,
    otherwise,
  });
