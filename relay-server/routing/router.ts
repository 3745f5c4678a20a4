import type { WireRow, WireValue } from '@tidemark/protocol/lines';
import type { ColumnSchema, TableSchema } from '@tidemark/protocol/schema';
import { type Comparison, comparisonOf } from './constants.ts';
import {
  type Attributes,
  appendToScope,
  attributeConditions,
  EVERYONE_SCOPE,
  type TableFilter,
  valuesOf,
} from './filters.ts';
import { filterFor } from './renamed-columns.ts';
import { logicalTypeOf } from './undeclared-types.ts';

/**
 * Binds a filter to one version of a table's schema. Two implementations of a filter must always agree:
 * {@link Router.scopeOf} routes arriving rows, and {@link Router.part} is SQL that selects rows of the mirror.
 */

/** A column that a filter compares. */
interface ComparedColumn {
  at: number;
  column: ColumnSchema;
  by: Comparison;
}

/** Returns the canonical text of a compared value, or null for NULL. */
function textOf(row: WireRow, { at, by }: ComparedColumn): string | null {
  const value = row[at] ?? null;
  return value === null ? null : by.textOf(value);
}

/** An SQL condition that selects a part of a mirror's table. */
export interface Part {
  where: string;
  params: (string | number | bigint)[];
}

/** Determines the scope of each row and the columns that terminals receive. */
export class Router {
  /** The table's schema at terminals. */
  readonly schema: TableSchema;
  /** Names of the columns that the feed sends, in order. */
  readonly sentColumns: string[];
  /** Whether every terminal receives every row and column. */
  readonly plain: boolean;
  /** Names of the columns that the filter compares. */
  readonly columns: ReadonlySet<string>;
  readonly #constants: (ComparedColumn & { values: Set<string | null> })[] = [];
  readonly #attributes: (ComparedColumn & { attribute: string })[] = [];
  readonly #keep: number[] | null;
  readonly #keyAt: number[];
  #lastValue: WireValue = null;
  #lastScope: string | null | undefined;

  /**
   * Binds the filter. Adds to `mistakes` each part of the filter that does not match the schema, with its place in
   * relay.yaml.
   */
  constructor(schema: TableSchema, declared: TableFilter | undefined, mistakes: string[]) {
    const filter = filterFor(schema, declared);
    this.sentColumns = schema.columns.map(({ name }) => name);
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

  /** Returns the scope of a row, or null if no terminal receives it. */
  scopeOf(row: WireRow): string | null {
    for (const compared of this.#constants) if (!compared.values.has(textOf(row, compared))) return null;
    const [first, second] = this.#attributes;
    if (!first) return EVERYONE_SCOPE;
    if (second) return this.#scopeOf(row);
    // Consecutive rows often belong to the same branch, so cache the last result.
    const value = row[first.at] ?? null;
    if (value !== this.#lastValue || this.#lastScope === undefined) {
      this.#lastValue = value;
      this.#lastScope = this.#scopeOf(row);
    }
    return this.#lastScope;
  }

  #scopeOf(row: WireRow): string | null {
    let name = '';
    for (const compared of this.#attributes) {
      const value = textOf(row, compared);
      if (value === null) return null;
      name = appendToScope(name, compared.attribute, value);
    }
    return name;
  }

  /** Reports whether two rows have the same values in the compared columns. */
  hasSameComparedValues(a: WireRow, b: WireRow): boolean {
    return this.#attributes.every(({ at }) => a[at] === b[at]) && this.#constants.every(({ at }) => a[at] === b[at]);
  }

  /** The SQL expressions that {@link part} compares. An index on them finds a terminal's rows. */
  get compared(): string[] {
    return [...new Set([...this.#attributes, ...this.#constants].map(comparedSql))];
  }

  /** Whether terminals receive all columns. */
  get keepsAllColumns(): boolean {
    return this.#keep === null;
  }

  /** Returns the columns of a row that terminals receive. */
  project(row: WireRow): WireRow {
    return this.#keep?.map((at) => row[at] ?? null) ?? row;
  }

  /** Returns the key of a row, or the complete row if the table has no key. */
  keyOf(row: WireRow): WireRow {
    return this.#keyAt.length === 0 ? row : this.#keyAt.map((at) => row[at] ?? null);
  }

  /** Returns the form of a key that terminals receive. */
  projectKey(key: WireRow): WireRow {
    return this.#keyAt.length === 0 ? this.project(key) : key;
  }

  /**
   * Reports whether terminals can keep their rows when the table of `old` becomes this one. They cannot if a compared
   * column changed, or if a column takes its values from one that terminals did not receive. `columns` holds the old
   * name of each column of the master, or null for a new column.
   */
  keepsRowsOf(old: Router, columns: readonly (string | null)[]): boolean {
    if (old.plain && this.plain) return true;
    const was = new Map(this.sentColumns.map((name, at) => [name, columns[at] ?? null]));
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

  /** Returns the part of the table that a terminal with these attributes receives. */
  part(attributes: Attributes): Part {
    const part: Part = { where: '', params: [] };
    const tests = [
      ...this.#constants.map(({ values, ...compared }) => ({ ...compared, values: [...values] })),
      ...this.#attributes.map((compared) => ({ ...compared, values: valuesOf(attributes, compared.attribute) })),
    ].map((compared) => oneOf(compared, compared.values, part.params));
    part.where = tests.length === 0 ? 'TRUE' : tests.join(' AND ');
    return part;
  }
}

/** Returns the properties of a column that affect its comparison. */
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

/** Returns the canonical texts of a condition's constants. */
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

const comparedSql = ({ column, by }: ComparedColumn) => by.sql(`"${column.name.replaceAll('"', '""')}"`);

/** Returns SQL that compares a column in the same way as {@link Router.scopeOf}. Appends its parameters to `params`. */
function oneOf(compared: ComparedColumn, values: (string | null)[], params: (string | number | bigint)[]): string {
  const sql = comparedSql(compared);
  const bound = values.flatMap((value) => (value === null ? [] : (compared.by.stored(value) ?? [])));
  params.push(...bound);
  const tests = [
    ...(bound.length > 0 ? [`${sql} IN (${bound.map(() => '?').join(', ')})`] : []),
    ...(values.includes(null) ? [`${sql} IS NULL`] : []),
  ];
  return tests.length === 0 ? 'FALSE' : `(${tests.join(' OR ')})`;
}
