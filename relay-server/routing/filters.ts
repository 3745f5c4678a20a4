import { createHash } from 'node:crypto';
import { EVERYONE, type ScopeSet } from '@tidemark/protocol/page';

/**
 * Filters of relay.yaml, and the scopes that they define. A scope is the set of rows that one choice of attribute values
 * selects; a terminal is entitled to the scopes of its own attributes.
 *
 * Everything here is pure and depends on relay.yaml and attributes alone. Binding a filter to a table's schema is router.ts.
 * Rules G1 to G6 of docs/protocol.md; docs/decisions/2026-11-23-route-changes-at-ingest.md.
 */

/** The scope of rows that every terminal receives. */
export const EVERYONE_SCOPE = '*';

/** A column equals one of the values of a terminal's attribute, or one of the constants (as text; null: NULL). `at`: its place in relay.yaml. */
export type Condition = { column: string; at: string } & ({ attribute: string } | { values: (string | null)[] });

/** The rows, columns and indexes of a table that terminals receive. Plain data, because it is sent to worker threads. `at`: the place in relay.yaml, for messages. */
export interface TableFilter {
  where: Condition[];
  columns: { names: string[]; at: string } | null;
  indexes: { names: string[]; at: string }[];
}

/** Filters by table name. Every terminal receives all rows and columns of a table without a filter. */
export type Filters = Record<string, TableFilter>;

/** Values of a terminal's attributes: `branch=7,8` holds two. */
export type Attributes = Record<string, string>;

/** The entitlement of a terminal. */
export interface EntitledSet {
  id: ScopeSet;
  /** All its scopes; `*` is the first. */
  scopes: string[];
  attributes: Attributes;
}

/** Version of the comparison. Another version routes existing rows again. */
const COMPARISON_VERSION = 2;

/** A digest of the filters. Rows that were stored under another fingerprint may be in other scopes. Empty: no filters. */
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

/** The scopes of a table's rows that a terminal with these attributes receives: one for each choice of attribute values. */
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

/** The attributes that filters name, with the first place in relay.yaml. */
export function namedAttributes(filters: Filters): Map<string, string> {
  const named = new Map<string, string>();
  for (const { where } of Object.values(filters))
    for (const each of where) if ('attribute' in each && !named.has(each.attribute)) named.set(each.attribute, each.at);
  return named;
}

/** Appends a choice to a scope's name: `branch=7&region=north`. */
export function joined(name: string, attribute: string, value: string): string {
  return `${name}${name === '' ? '' : '&'}${attribute}=${encodeURIComponent(value)}`;
}

/** The conditions on attributes, in the order in which scope names list them. */
export function attributeConditions(filter: TableFilter | undefined): { column: string; attribute: string }[] {
  return (filter?.where ?? []).flatMap((each) => ('attribute' in each ? [each] : [])).sort(byAttribute);
}

type Named = { column: string; attribute?: string };
const byAttribute = (a: Named, b: Named) =>
  `${a.attribute ?? ''} ${a.column}` < `${b.attribute ?? ''} ${b.column}` ? -1 : 1;

/** The values that an attribute holds. */
export function valuesOf(attributes: Attributes, name: string): string[] {
  const text = Object.hasOwn(attributes, name) ? attributes[name] : undefined;
  const values = (text ?? '').split(',').map((value) => value.trim());
  return [...new Set(values.filter((value) => value !== ''))];
}
