import { type PostgresTable, qualified } from './catalog.ts';
import { ident } from './sql.ts';
import type { Statement, TableProblem } from './table-problems.ts';
import type { PlacedProblem } from './wanted-tables.ts';

/**
 * Writes problems as text for a database administrator: each line is one cause and the statements that remove it, in a
 * form to paste. Problems of one kind share a line, so that a schema of 500 tables gives a few lines.
 *
 * The text is bounded: {@link MOST_LINES} lines, and {@link MOST_TEXT} characters.
 */

/** Largest number of lines. */
const MOST_LINES = 200;
/** Largest size of the text, in characters. The statements for 500 tables with the longest names fit. */
const MOST_TEXT = 250_000;
/** The statements of a line contain at most this many tables. */
const IN_LINE = 500;
/** A line names this many tables, and counts the others. */
const NAMED = 10;
/** Above this number of tables without a key, they share a line. */
const MOST_KEYLESS_LINES = 5;

/** Quoted names that statements refer to. */
export interface Names {
  user: string;
  publication: string;
}

/** Returns the SQL of a problem's statements. */
function statementsOf(statements: readonly Statement[], { user, publication }: Names): string {
  const of = <Kind extends Statement['kind']>(kind: Kind) =>
    statements.filter((statement): statement is Extract<Statement, { kind: Kind }> => statement.kind === kind);
  const schemas = [...new Set(of('grant-usage').map(({ schema }) => ident(schema)))];
  const select = of('grant-select').map(({ table }) => qualified(table));
  const only = (tables: { table: PostgresTable }[]) => tables.map(({ table }) => `ONLY ${qualified(table)}`).join(', ');
  const publish = of('publish');
  // A table that is published with a row filter or a column list must be removed first.
  const listed = publish.filter(({ isListed }) => isListed);
  const joined = [
    ...(schemas.length > 0 ? [`GRANT USAGE ON SCHEMA ${schemas.join(', ')} TO ${user};`] : []),
    ...(select.length > 0 ? [`GRANT SELECT ON ${select.join(', ')} TO ${user};`] : []),
    ...(of('bypass-rls').length > 0 ? [`ALTER ROLE ${user} BYPASSRLS;`] : []),
    ...of('sql').map(({ sql }) => sql),
    ...(listed.length > 0 ? [`ALTER PUBLICATION ${publication} DROP TABLE ${only(listed)};`] : []),
    ...(publish.length > 0 ? [`ALTER PUBLICATION ${publication} ADD TABLE ${only(publish)};`] : []),
  ];
  return joined.join(' ');
}

/** Returns the remedy of a problem: the statements, and what else removes it. */
export function remedyOf(problem: TableProblem, names: Names): string {
  const sql = statementsOf(problem.statements, names);
  const as = problem.statements.some(({ kind }) => kind === 'publish') ? 'As a superuser, run' : 'Run';
  return [sql === '' ? '' : `${as}: ${sql}`, problem.otherwise === '' ? '' : `${problem.otherwise}.`]
    .filter((part) => part !== '')
    .join(' ');
}

/** Returns the lines for all problems of tables. */
export function problemLines(problems: readonly PlacedProblem[], names: Names): string[] {
  return [...Map.groupBy(problems, lineOf).values()].flatMap((group) => {
    const [first] = group;
    if (first && group.length === 1) return single(first, names);
    const parts = Array.from({ length: Math.ceil(group.length / IN_LINE) }, (_, n) =>
      group.slice(n * IN_LINE, (n + 1) * IN_LINE),
    );
    return parts.map((part) => several(part, names));
  });

  function lineOf(problem: PlacedProblem): string {
    const [statement] = problem.statements;
    const kind = statement?.kind ?? 'none';
    if (kind !== 'sql' && kind !== 'none') return `${kind} ${isPartlyReadable(problem)}`;
    const isKeyless = problem.reason === 'no_key' && kind === 'sql' && problem.detail.endsWith('identifies its rows');
    const keyless = problems.filter(({ reason }) => reason === 'no_key').length;
    return isKeyless && keyless > MOST_KEYLESS_LINES ? 'keyless' : `${problem.table} ${problem.detail}`;
  }
}

const isPartlyReadable = ({ detail }: TableProblem) => detail.endsWith('only some of its columns');

function single(problem: PlacedProblem, names: Names): string {
  const place = problem.at === undefined ? '' : `${problem.at}: `;
  const sql = statementsOf(problem.statements, names);
  const better = problem.otherwise === '' ? '' : ` ${problem.otherwise}.`;
  // The statements are last, so that the rest of the line can be pasted.
  const as = problem.statements[0]?.kind === 'publish' ? 'As a superuser, run' : 'Run';
  return `${place}${problem.detail}.${better}${sql === '' ? '' : ` ${as}: ${sql}`}`;
}

function several(group: readonly PlacedProblem[], names: Names): string {
  const sql = statementsOf(
    group.flatMap(({ statements }) => statements),
    names,
  );
  const tables = group.map(({ table }) => table);
  const count = `${tables.length} tables (${listOf(tables)})`;
  switch (group[0]?.statements[0]?.kind) {
    case 'grant-usage':
      return `The user ${names.user} does not have USAGE on the schemas of ${count}. Run: ${sql}`;
    case 'grant-select':
      return `The user ${names.user} is not allowed to read ${count}${group.every(isPartlyReadable) ? ', only some of their columns' : ''}. Run: ${sql}`;
    case 'bypass-rls':
      return `Row-level security hides rows of ${count} from the user ${names.user}. Run: ${sql}`;
    case 'publish':
      return `The user ${names.user} is not allowed to publish ${count}, because it does not own them. As a superuser, run: ${sql}`;
    default:
      return `${count} have no key that identifies their rows. Better, where a table can have a key: ALTER TABLE … ADD PRIMARY KEY (…); or leave the table out of relay.yaml (publish.except, or tables). To log complete rows of all these tables, run: ${sql}`;
  }
}

/** Lists the first names, and counts the others. */
export function listOf(names: readonly string[]): string {
  const more = names.length - NAMED;
  return more > 0 ? `${names.slice(0, NAMED).join(', ')} and ${more} more` : names.join(', ');
}

/** Joins lines to a bounded text. A text that is cut ends with the number of missing lines. */
export function boundedText(lines: readonly string[]): string {
  const kept: string[] = [];
  let size = 0;
  for (const line of lines) {
    size += line.length;
    if (kept.length >= MOST_LINES || size > MOST_TEXT) break;
    kept.push(`- ${line}`);
  }
  const missing = lines.length - kept.length;
  return [...kept, ...(missing > 0 ? [`- ${missing} more. Correct these first, then start the feed again.`] : [])].join(
    '\n',
  );
}
