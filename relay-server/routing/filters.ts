import { createHash } from 'node:crypto';
import { EVERYONE, type ScopeSet } from '@tidemark/protocol/page';

/**
 * The filters of relay.yaml and the scopes that they define. A scope is the set of rows that one combination of
 * attribute values selects. A terminal is entitled to the scopes of its own attributes.
 *
 * All functions are pure and depend only on relay.yaml and attributes. router.ts binds a filter to a table's schema.
 * See rules G1 to G6 of docs/protocol.md and docs/decisions/2026-11-23-route-changes-at-ingest.md.
 */

/** The scope of rows that every terminal receives. */
export const EVERYONE_SCOPE = '*';

/**
 * Requires a column to equal one of the values of a terminal's attribute, or one of the constants. Constants are texts;
 * null stands for NULL. `at` is the place of the condition in relay.yaml.
 */
export type Condition = { column: string; at: string } & ({ attribute: string } | { values: (string | null)[] });

/**
 * The rows, columns and indexes of a table that terminals receive. It must be plain data, because the relay sends it to
 * worker threads. `at` is the place in relay.yaml, for messages.
 */
export interface TableFilter {
  where: Condition[];
  columns: { names: string[]; at: string } | null;
  indexes: { names: string[]; at: string }[];
  /**
   * The filter from before columns were renamed. It applies to versions of the table that do not have the new names, see
   * renamed-columns.ts.
   */
  previous?: TableFilter | undefined;
}

/** Filters by table name. Every terminal receives all rows and columns of a table without a filter. */
export type Filters = Record<string, TableFilter>;

/** A terminal's attributes. A comma separates several values: `branch=7,8`. */
export type Attributes = Record<string, string>;

/** The entitlement of a terminal, as a set of scopes. */
export interface EntitledSet {
  id: ScopeSet;
  /** All scopes of the set. The first is `*`. */
  scopes: string[];
  attributes: Attributes;
}

/** Version of the comparison. Changing it makes the relay route existing rows again. */
const COMPARISON_VERSION = 2;

/**
 * Returns a digest of the filters, empty if there are none. Rows stored under another fingerprint may be in other
 * scopes.
 */
export function fingerprint(filters: Filters): string {
  const entries = Object.entries(filters)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([table, { where, columns, indexes }]) => [
      table,
      [...where].sort(byAttribute).map(({ at: _, ...condition }) => condition),
      columns?.names ?? null,
      indexes.map(({ names }) => names),
    ]);
  return entries.length === 0
    ? ''
    : createHash('sha256')
        .update(JSON.stringify([COMPARISON_VERSION, ...entries]))
        .digest('hex');
}

/** Returns the entitlement of a terminal with these attributes. */
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

/**
 * Returns the scopes in which a terminal with these attributes receives rows of a table: one for each combination of
 * attribute values.
 */
export function scopesOf(filter: TableFilter | undefined, attributes: Attributes): string[] {
  const conditions = attributeConditions(filter);
  if (conditions.length === 0) return [EVERYONE_SCOPE];
  let names = [''];
  for (const { attribute } of conditions) {
    const values = valuesOf(attributes, attribute);
    names = names.flatMap((name) => values.map((value) => appendToScope(name, attribute, value)));
  }
  return names;
}

/** Returns the attributes that filters use, each with its first place in relay.yaml. */
export function namedAttributes(filters: Filters): Map<string, string> {
  const named = new Map<string, string>();
  for (const { where } of Object.values(filters))
    for (const condition of where)
      if ('attribute' in condition && !named.has(condition.attribute)) named.set(condition.attribute, condition.at);
  return named;
}

/** Appends an attribute value to a scope's name: `branch=7&region=north`. */
export function appendToScope(name: string, attribute: string, value: string): string {
  return `${name}${name === '' ? '' : '&'}${attribute}=${encodeURIComponent(value)}`;
}

/** Returns the conditions on attributes, in the order of scope names. */
export function attributeConditions(filter: TableFilter | undefined): { column: string; attribute: string }[] {
  return (filter?.where ?? []).flatMap((condition) => ('attribute' in condition ? [condition] : [])).sort(byAttribute);
}

type Named = { column: string; attribute?: string };
const byAttribute = (a: Named, b: Named) =>
  `${a.attribute ?? ''} ${a.column}` < `${b.attribute ?? ''} ${b.column}` ? -1 : 1;

/** Returns the values of an attribute. */
export function valuesOf(attributes: Attributes, name: string): string[] {
  const text = Object.hasOwn(attributes, name) ? attributes[name] : undefined;
  const values = (text ?? '').split(',').map((value) => value.trim());
  return [...new Set(values.filter((value) => value !== ''))];
}
