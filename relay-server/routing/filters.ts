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

/** What relay.yaml says of a table's rows and columns. `at`: where, for messages. Plain data: it crosses to threads. */
export interface TableFilter {
  where: Condition[];
  columns: { names: string[]; at: string } | null;
  indexes: { names: string[]; at: string }[];
}

/** Filters by table; a table that is not here goes whole to everyone. */
export type Filters = Record<string, TableFilter>;

/** Values of a terminal's attributes: `branch=7,8` holds two. */
export type Attributes = Record<string, string>;

/** What a terminal is entitled to. */
export interface EntitledSet {
  id: ScopeSet;
  /** All its scopes; `*` is the first. */
  scopes: string[];
  attributes: Attributes;
}

/** Counts the ways in which values were compared: what was routed in another way is routed anew. */
const COMPARED_BY = 2;

/** Says in short what the filters are: what was stored under another fingerprint was routed otherwise. */
export function fingerprint(filters: Filters): string {
  const said = Object.entries(filters)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([table, { where, columns, indexes }]) => [
      table,
      [...where].sort(byAttribute).map(({ at: _, ...condition }) => condition),
      columns?.names ?? null,
      indexes.map(({ names }) => names),
    ]);
  return said.length === 0
    ? ''
    : createHash('sha256')
        .update(JSON.stringify([COMPARED_BY, ...said]))
        .digest('hex');
}

/** The scopes of a terminal's attributes. */
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

/** The scopes that rows of a table can be in for a terminal of these attributes: one for each choice of their values. */
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

/** The attributes that filters name, and where relay.yaml does so first. */
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

/** The values that an attribute holds. */
export function valuesOf(attributes: Attributes, name: string): string[] {
  const said = Object.hasOwn(attributes, name) ? attributes[name] : undefined;
  const values = (said ?? '').split(',').map((value) => value.trim());
  return [...new Set(values.filter((value) => value !== ''))];
}

/** A column that decides who gets a row. */
interface Deciding {
  at: number;
  column: ColumnSchema;
  by: Comparison;
}

/** A value as texts in relay.yaml and attributes name it: numbers without needless digits, true and false. */
function textOf(row: WireRow, { at, by }: Deciding): string | null {
  const value = row[at] ?? null;
  return value === null ? null : by.textOf(value);
}

/** A part of a mirror's table, for SQL on that table. */
export interface Part {
  where: string;
  params: (string | number | bigint)[];
}

/** A filter bound to one version of a table's schema: says of each row who gets it, and what of it. */
export class Router {
  /** The table as terminals have it. */
  readonly schema: TableSchema;
  /** Names of the columns that the master sends, in order. */
  readonly given: string[];
  /** Whether every row goes whole to everyone. */
  readonly plain: boolean;
  /** The columns that decide who gets a row, attributes' first. */
  readonly columns: ReadonlySet<string>;
  readonly #constants: (Deciding & { values: Set<string | null> })[] = [];
  readonly #attributes: (Deciding & { attribute: string })[] = [];
  readonly #keep: number[] | null;
  readonly #keyAt: number[];
  #lastValue: WireValue = null;
  #lastScope: string | null | undefined;

  /** `mistakes` gets what does not fit the schema, with its place in relay.yaml. */
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
          mistakes.push(`${at}: the column ${name} is not among the columns that terminals get`);
    this.schema = { ...schema, columns, ...(indexes.length > 0 ? { indexes } : {}) };
    this.plain = this.#constants.length === 0 && this.#attributes.length === 0 && this.#keep === null;
  }

  /** The scope of a row; null: no terminal gets it. */
  scopeOf(row: WireRow): string | null {
    for (const each of this.#constants) if (!each.values.has(textOf(row, each))) return null;
    const [first, second] = this.#attributes;
    if (!first) return EVERYONE_SCOPE;
    if (second) return this.#scopeOf(row);
    // Rows of one branch come together.
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

  /** Whether two rows have the same values where it is decided who gets them. */
  decidesAlike(a: WireRow, b: WireRow): boolean {
    return this.#attributes.every(({ at }) => a[at] === b[at]) && this.#constants.every(({ at }) => a[at] === b[at]);
  }

  /** SQL of what {@link part} compares: an index on these finds a terminal's rows. */
  get compared(): string[] {
    return [...new Set([...this.#attributes, ...this.#constants].map(comparedSql))];
  }

  /** Whether rows come to a terminal as they are. */
  get whole(): boolean {
    return this.#keep === null;
  }

  /** What terminals get of a row. */
  project(row: WireRow): WireRow {
    return this.#keep?.map((at) => row[at] ?? null) ?? row;
  }

  /** The key of a row; of a table without a key the whole row. */
  keyOf(row: WireRow): WireRow {
    return this.#keyAt.length === 0 ? row : this.#keyAt.map((at) => row[at] ?? null);
  }

  /** A key as terminals know it. */
  projectKey(key: WireRow): WireRow {
    return this.#keyAt.length === 0 ? this.project(key) : key;
  }

  /**
   * Whether terminals can keep their rows when `old`'s table becomes this one. `columns`: the old name of each given
   * column; null: it is new. They cannot when what decides who gets a row changed, or when a column takes its values
   * from one that they did not get.
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

  /** The rows of a terminal of these attributes. */
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

/** What {@link comparisonOf} goes by. */
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
      mistakes.push(`${columns.at}: the key column ${name} is missing: rows are known by it`);
  return [...places].flatMap(([name, at]) => (columns.names.includes(name) ? [at] : []));
}

/** The texts that a condition's constants stand for. */
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

/** SQL that says what {@link Router.scopeOf} does: values are compared by their texts, so `007` is not 7. */
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
