import { createHash } from 'node:crypto';
import type { WireRow, WireValue } from '@tidemark/protocol/lines';
import { EVERYONE, type ScopeSet } from '@tidemark/protocol/page';
import type { ColumnSchema, TableSchema } from '@tidemark/protocol/schema';
import { type Comparison, comparisonOf } from './constants.ts';
import { logicalTypeOf } from './undeclared-types.ts';

/**
 * The filters of relay.yaml: which rows and columns of a table each terminal receives, and how a change is routed to
 * scopes when it arrives.
 *
 * Everything here is pure. It compares values as text, in one form on both sides (constants.ts), and never reads the
 * mirror or a terminal's request. Rules G1 to G6 of docs/protocol.md; docs/decisions/2026-11-23-route-changes-at-ingest.md.
 */

/** The scope of the rows that every terminal receives. */
export const EVERYONE_SCOPE = '*';

/** A column equals one of the values that a terminal's attribute holds, or one of some constants (as texts; null: NULL). */
export type Condition = { column: string; at: string } & ({ attribute: string } | { values: (string | null)[] });

/** The filter of a table in relay.yaml. `at`: its place in the file, for messages. Plain data, because threads receive it. */
export interface TableFilter {
  where: Condition[];
  columns: { names: string[]; at: string } | null;
  indexes: { names: string[]; at: string }[];
}

/** Filters by table. Every terminal receives all of a table that has none. */
export type Filters = Record<string, TableFilter>;

/** Values of a terminal's attributes: `branch=7,8` holds two. */
export type Attributes = Record<string, string>;

/** A terminal's entitlement. */
export interface EntitledSet {
  id: ScopeSet;
  /** All scopes, `*` first. */
  scopes: string[];
  attributes: Attributes;
}

/** Version of the way in which values are compared. A new version invalidates everything that older ones routed. */
const COMPARED_BY = 2;

/** A digest of the filters; empty without any. Increments with another fingerprint were routed by other filters. */
export function fingerprint(filters: Filters): string {
  const described = Object.entries(filters)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([table, { where, columns, indexes }]) => [
      table,
      [...where].sort(byAttribute).map(({ at: _, ...condition }) => condition),
      columns?.names ?? null,
      indexes.map(({ names }) => names),
    ]);
  return described.length === 0
    ? ''
    : createHash('sha256')
        .update(JSON.stringify([COMPARED_BY, ...described]))
        .digest('hex');
}

/** The entitlement of a terminal with these attributes. */
export function entitledSet(filters: Filters, attributes: Attributes): EntitledSet {
  const scopes = new Set([EVERYONE_SCOPE]);
  for (const filter of Object.values(filters)) for (const scope of scopesOf(filter, attributes)) scopes.add(scope);
  const print = fingerprint(filters);
  const names = [...scopes];
  const id =
    print === ''
      ? EVERYONE
      : createHash('sha256')
          .update(JSON.stringify([print, ...names.sort()]))
          .digest('hex')
          .slice(0, 32);
  return { id, scopes: [EVERYONE_SCOPE, ...names.filter((scope) => scope !== EVERYONE_SCOPE)], attributes };
}

/** The scopes of a table for a terminal with these attributes: one for each choice of values. */
export function scopesOf(filter: TableFilter | undefined, attributes: Attributes): string[] {
  const conditions = attributeConditions(filter);
  if (conditions.length === 0) return [EVERYONE_SCOPE];
  let names = [''];
  for (const { attribute } of conditions) {
    const values = valuesOf(attributes, attribute);
    names = names.flatMap((name) => values.map((value) => joined(name, attribute, value)));
  }
  return names;
}

/** The attributes that filters name, each with its first place in relay.yaml. */
export function namedAttributes(filters: Filters): Map<string, string> {
  const named = new Map<string, string>();
  for (const { where } of Object.values(filters))
    for (const each of where) if ('attribute' in each && !named.has(each.attribute)) named.set(each.attribute, each.at);
  return named;
}

function joined(name: string, attribute: string, value: string): string {
  return `${name}${name === '' ? '' : '&'}${attribute}=${encodeURIComponent(value)}`;
}

function attributeConditions(filter: TableFilter | undefined): { column: string; attribute: string }[] {
  return (filter?.where ?? []).flatMap((each) => ('attribute' in each ? [each] : [])).sort(byAttribute);
}

type Named = { column: string; attribute?: string };
const byAttribute = (a: Named, b: Named) =>
  `${a.attribute ?? ''} ${a.column}` < `${b.attribute ?? ''} ${b.column}` ? -1 : 1;

/** The values of an attribute. */
export function valuesOf(attributes: Attributes, name: string): string[] {
  const said = Object.hasOwn(attributes, name) ? attributes[name] : undefined;
  const values = (said ?? '').split(',').map((value) => value.trim());
  return [...new Set(values.filter((value) => value !== ''))];
}

/** A column that decides which terminals receive a row. */
interface Deciding {
  at: number;
  column: ColumnSchema;
  by: Comparison;
}

/** A value as the text that constants and attributes are compared with: numbers without redundant zeros, true and false. */
function textOf(row: WireRow, { at, by }: Deciding): string | null {
  const value = row[at] ?? null;
  return value === null ? null : by.textOf(value);
}

/** A part of a mirror's table, for SQL on that table. */
export interface Part {
  where: string;
  params: (string | number | bigint)[];
}

/** A filter bound to one version of a table's schema. It returns the scope of each row, and the columns that terminals receive. */
export class Router {
  /** The table's schema at terminals. */
  readonly schema: TableSchema;
  /** Names of the columns that the master sends, in order. */
  readonly given: string[];
  /** Whether every terminal receives every row with all columns. */
  readonly plain: boolean;
  /** The columns that decide which terminals receive a row. Columns of attributes are first. */
  readonly columns: ReadonlySet<string>;
  readonly #constants: (Deciding & { values: Set<string | null> })[] = [];
  readonly #attributes: (Deciding & { attribute: string })[] = [];
  readonly #keep: number[] | null;
  readonly #keyAt: number[];
  #lastValue: WireValue = null;
  #lastScope: string | null | undefined;

  /** Adds each part of the filter that does not match the schema to `mistakes`, with its place in relay.yaml. */
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

  /** The scope of a row. Null: no terminal receives it. */
  scopeOf(row: WireRow): string | null {
    for (const each of this.#constants) if (!each.values.has(textOf(row, each))) return null;
    const [first, second] = this.#attributes;
    if (!first) return EVERYONE_SCOPE;
    if (second) return this.#scopeOf(row);
    // Rows of one branch often arrive together, so the last result is kept.
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

  /** Whether two rows have the same values in the columns that decide which terminals receive them. */
  hasSameScope(a: WireRow, b: WireRow): boolean {
    return this.#attributes.every(({ at }) => a[at] === b[at]) && this.#constants.every(({ at }) => a[at] === b[at]);
  }

  /** SQL of the expressions that {@link part} compares. An index on them finds a terminal's rows. */
  get compared(): string[] {
    return [...new Set([...this.#attributes, ...this.#constants].map(comparedSql))];
  }

  /** Whether terminals receive all columns. */
  get hasAllColumns(): boolean {
    return this.#keep === null;
  }

  /** The columns of a row that terminals receive. */
  project(row: WireRow): WireRow {
    return this.#keep?.map((at) => row[at] ?? null) ?? row;
  }

  /** The key of a row. In a table without a key, the complete row. */
  keyOf(row: WireRow): WireRow {
    return this.#keyAt.length === 0 ? row : this.#keyAt.map((at) => row[at] ?? null);
  }

  /** A key at terminals. */
  projectKey(key: WireRow): WireRow {
    return this.#keyAt.length === 0 ? this.project(key) : key;
  }

  /**
   * Whether terminals can keep their rows when `old`'s table becomes this one. `columns`: the old name of each given
   * column (null: a new column). They cannot when a deciding column or condition changed, or when a column takes its values
   * from one that terminals did not receive.
   */
  keepsRowsOf(old: Router, columns: readonly (string | null)[]): boolean {
    if (old.plain && this.plain) return true;
    const was = new Map(this.given.map((name, at) => [name, columns[at] ?? null]));
    const decides = (router: Router) =>
      JSON.stringify([
        router.#constants.map(({ column, values }) => [...comparedBy(column), [...values]]),
        router.#attributes.map(({ column, attribute }) => [...comparedBy(column), attribute]),
      ]);
    return (
      decides(old) === decides(this) &&
      [...this.columns].every((name) => was.get(name) === name) &&
      this.schema.columns.every(({ name }) => {
        const from = was.get(name) ?? null;
        return from === null || old.schema.columns.some((column) => column.name === from);
      })
    );
  }

  /** The rows of a terminal with these attributes. */
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

/** The properties of a column from which {@link comparisonOf} derives the comparison. */
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
      mistakes.push(`${columns.at}: the key column ${name} is missing: it identifies the rows`);
  return [...places].flatMap(([name, at]) => (columns.names.includes(name) ? [at] : []));
}

/** The texts of a condition's constants, in the form that values are compared in. */
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

/** SQL with the meaning of {@link Router.scopeOf}. It compares values as text, so `007` is not 7. */
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
