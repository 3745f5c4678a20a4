import type { WireRow, WireValue } from '@tidemark/protocol/lines';
import type { ColumnSchema, TableSchema } from '@tidemark/protocol/schema';
import { type Comparison, comparisonOf } from './constants.ts';
import { type Attributes, attributeConditions, EVERYONE_SCOPE, joined, type TableFilter, valuesOf } from './filters.ts';
import { logicalTypeOf } from './undeclared-types.ts';

/**
 * Binds a filter to one version of a table's schema. It answers the same question twice, and both answers must always
 * agree: {@link Router.scopeOf} for a row that arrives, {@link Router.part} as SQL over the mirror.
 */

/** A column that a filter compares. */
interface Deciding {
  at: number;
  column: ColumnSchema;
  by: Comparison;
}

/** The canonical text of a compared value; null for NULL. */
function textOf(row: WireRow, { at, by }: Deciding): string | null {
  const value = row[at] ?? null;
  return value === null ? null : by.textOf(value);
}

/** A part of a mirror's table, for SQL on that table. */
export interface Part {
  where: string;
  params: (string | number | bigint)[];
}

/** Decides which scope each row is in, and which columns of it terminals receive. */
export class Router {
  /** The table's schema at terminals. */
  readonly schema: TableSchema;
  /** Names of the columns that the master sends, in order. */
  readonly given: string[];
  /** Whether every terminal receives every row and column. */
  readonly plain: boolean;
  /** Names of the columns that the filter compares. */
  readonly columns: ReadonlySet<string>;
  readonly #constants: (Deciding & { values: Set<string | null> })[] = [];
  readonly #attributes: (Deciding & { attribute: string })[] = [];
  readonly #keep: number[] | null;
  readonly #keyAt: number[];
  #lastValue: WireValue = null;
  #lastScope: string | null | undefined;

  /** Adds to `mistakes` each part of the filter that does not fit the schema, with its place in relay.yaml. */
  constructor(schema: TableSchema, filter: TableFilter | undefined, mistakes: string[]) {
    this.given = schema.columns.map(({ name }) => name);
    const places = new Map(schema.columns.map(({ name }, at) => [name, at]));
    const find = (name: string, at: string): { at: number; column: ColumnSchema } | null => {
      const place = places.get(name);
      const column = place === undefined ? undefined : schema.columns[place];
      if (place === undefined || !column) {
        mistakes.push(`${at}: the table ${schema.name} has no column ${name}`);
        return null;
      }
      return { at: place, column };
    };
    for (const condition of filter?.where ?? []) {
      const found = find(condition.column, condition.at);
      if (!found) continue;
      const by = comparisonOf(found.column);
      if (!by) mistakes.push(`${condition.at}: a column of the type ${found.column.source} cannot be compared exactly`);
      else if ('values' in condition)
        this.#constants.push({ ...found, by, values: constantsOf(condition, found.column, by, mistakes) });
    }
    for (const { column: name, attribute } of attributeConditions(filter)) {
      const at = places.get(name);
      const column = at === undefined ? undefined : schema.columns[at];
      const by = column ? comparisonOf(column) : null;
      if (at !== undefined && column && by) this.#attributes.push({ at, column, by, attribute });
    }
    this.columns = new Set([...this.#attributes, ...this.#constants].map(({ column }) => column.name));
    this.#keep = keptColumns(schema, filter, places, find, mistakes);
    this.#keyAt = schema.key.map((name) => places.get(name) ?? 0);
    const columns = this.#keep?.flatMap((at) => schema.columns[at] ?? []) ?? schema.columns;
    const indexes = (filter?.indexes ?? []).map(({ names }) => names);
    for (const { names, at } of filter?.indexes ?? [])
      for (const name of names)
        if (find(name, at) && !columns.some((column) => column.name === name))
          mistakes.push(`${at}: the column ${name} is not among the columns that terminals receive`);
    this.schema = { ...schema, columns, ...(indexes.length > 0 ? { indexes } : {}) };
    this.plain = this.#constants.length === 0 && this.#attributes.length === 0 && this.#keep === null;
  }

  /** The scope of a row; null when no terminal receives it. */
  scopeOf(row: WireRow): string | null {
    for (const each of this.#constants) if (!each.values.has(textOf(row, each))) return null;
    const [first, second] = this.#attributes;
    if (!first) return EVERYONE_SCOPE;
    if (second) return this.#scopeOf(row);
    // Rows of one branch often follow each other, so the last result is kept.
    const value = row[first.at] ?? null;
    if (value !== this.#lastValue || this.#lastScope === undefined) {
      this.#lastValue = value;
      this.#lastScope = this.#scopeOf(row);
    }
    return this.#lastScope;
  }

  #scopeOf(row: WireRow): string | null {
    let name = '';
    for (const each of this.#attributes) {
      const value = textOf(row, each);
      if (value === null) return null;
      name = joined(name, each.attribute, value);
    }
    return name;
  }

  /** Whether two rows have the same values in the compared columns. */
  decidesAlike(a: WireRow, b: WireRow): boolean {
    return this.#attributes.every(({ at }) => a[at] === b[at]) && this.#constants.every(({ at }) => a[at] === b[at]);
  }

  /** The SQL expressions that {@link part} compares. An index on them finds a terminal's rows. */
  get compared(): string[] {
    return [...new Set([...this.#attributes, ...this.#constants].map(comparedSql))];
  }

  /** Whether terminals receive all columns. */
  get whole(): boolean {
    return this.#keep === null;
  }

  /** The columns of a row that terminals receive. */
  project(row: WireRow): WireRow {
    return this.#keep?.map((at) => row[at] ?? null) ?? row;
  }

  /** The key of a row. Without a key, the complete row. */
  keyOf(row: WireRow): WireRow {
    return this.#keyAt.length === 0 ? row : this.#keyAt.map((at) => row[at] ?? null);
  }

  /** A key at terminals. */
  projectKey(key: WireRow): WireRow {
    return this.#keyAt.length === 0 ? this.project(key) : key;
  }

  /**
   * Whether terminals can keep their rows when the table of `old` becomes this one. They cannot when a compared column
   * changed, or when a column takes its values from one that terminals did not receive. `columns`: the old name of each
   * column of the master; null: it is new.
   */
  keepsRowsOf(old: Router, columns: readonly (string | null)[]): boolean {
    if (old.plain && this.plain) return true;
    const was = new Map(this.given.map((name, at) => [name, columns[at] ?? null]));
    const comparisons = (router: Router) =>
      JSON.stringify([
        router.#constants.map(({ column, values }) => [...comparedBy(column), [...values]]),
        router.#attributes.map(({ column, attribute }) => [...comparedBy(column), attribute]),
      ]);
    return (
      comparisons(old) === comparisons(this) &&
      [...this.columns].every((name) => was.get(name) === name) &&
      this.schema.columns.every(({ name }) => {
        const from = was.get(name) ?? null;
        return from === null || old.schema.columns.some((column) => column.name === from);
      })
    );
  }

  /** The rows that a terminal with these attributes receives. */
  part(attributes: Attributes): Part {
    const part: Part = { where: '', params: [] };
    const tests = [
      ...this.#constants.map(({ values, ...each }) => ({ ...each, values: [...values] })),
      ...this.#attributes.map((each) => ({ ...each, values: valuesOf(attributes, each.attribute) })),
    ].map((each) => oneOf(each, each.values, part.params));
    part.where = tests.length === 0 ? 'TRUE' : tests.join(' AND ');
    return part;
  }
}

/** Everything that decides how a column is compared. */
const comparedBy = (column: ColumnSchema) => [
  column.name,
  column.type,
  Object.entries(logicalTypeOf(column)).sort(([a], [b]) => (a < b ? -1 : 1)),
];

function keptColumns(
  schema: TableSchema,
  filter: TableFilter | undefined,
  places: Map<string, number>,
  find: (name: string, at: string) => unknown,
  mistakes: string[],
): number[] | null {
  const columns = filter?.columns;
  if (!columns) return null;
  for (const name of columns.names) find(name, columns.at);
  for (const name of schema.key)
    if (!columns.names.includes(name))
      mistakes.push(`${columns.at}: the key column ${name} is missing, and it identifies rows`);
  return [...places].flatMap(([name, at]) => (columns.names.includes(name) ? [at] : []));
}

/** The canonical texts of a condition's constants. */
function constantsOf(
  { at, values }: { at: string; values: (string | null)[] },
  { name, source }: ColumnSchema,
  by: Comparison,
  mistakes: string[],
): Set<string | null> {
  const texts = new Set<string | null>();
  for (const value of values) {
    const text = value === null ? null : by.constant(value);
    if (value !== null && text === null)
      mistakes.push(
        `${at}: ${JSON.stringify(value)} is no value of the column ${name} (${source}): write ${by.written}`,
      );
    else texts.add(text);
  }
  return texts;
}

const comparedSql = ({ column, by }: Deciding) => by.sql(`"${column.name.replaceAll('"', '""')}"`);

/** SQL for the comparison of {@link Router.scopeOf}. */
function oneOf(deciding: Deciding, values: (string | null)[], params: (string | number | bigint)[]): string {
  const sql = comparedSql(deciding);
  const bound = values.flatMap((value) => (value === null ? [] : (deciding.by.stored(value) ?? [])));
  params.push(...bound);
  const tests = [
    ...(bound.length > 0 ? [`${sql} IN (${bound.map(() => '?').join(', ')})`] : []),
    ...(values.includes(null) ? [`${sql} IS NULL`] : []),
  ];
  return tests.length === 0 ? 'FALSE' : `(${tests.join(' OR ')})`;
}
