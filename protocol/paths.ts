/**
 * The relay's paths. Each is defined once: clients build URLs from it, and the relay derives its routes from `pattern`.
 * Paths belong to the protocol, so changing one requires a new protocol version.
 */

/** The `:name` fields of a pattern, in order. */
type FieldNames<P extends string> = P extends `${string}:${infer Name}/${infer Rest}`
  ? [Name, ...FieldNames<`/${Rest}`>]
  : P extends `${string}:${infer Name}`
    ? [Name]
    : [];
type FieldValues<Names extends string[]> = { [K in keyof Names]: string | number };

/** Builds a URL path from the values of the fields. They must be safe in a URL: names, epochs, seqs, page starts. */
export interface Path<P extends string> {
  (...values: FieldValues<FieldNames<P>>): string;
  /** The path with each field as `:name`, in Express's syntax. */
  readonly pattern: P;
}

function path<P extends string>(pattern: P): Path<P> {
  const parts = pattern.split(/:\w+/);
  const build = (...values: (string | number)[]) =>
    parts.map((part, i) => (i === 0 ? part : `${String(values[i - 1])}${part}`)).join('');
  return Object.assign(build, { pattern }) as Path<P>;
}

/** Pages. `start`: a page start in the format of formatStart. `scopes`: the id of a set of scopes. */
export const PATHS = {
  session: path('/v1/feeds/:feed/session'),
  batches: path('/v1/feeds/:feed/batches'),
  troubles: path('/v1/feeds/:feed/troubles'),
  status: path('/v1/feeds/:feed/status'),
  page: path('/v1/feeds/:feed/pages/:epoch/:scopes/:start/:target'),
  /** Compacted pages. */
  squashed: path('/v1/feeds/:feed/squashed/:epoch/:scopes/:start/:target'),
  transactions: path('/v1/feeds/:feed/transactions'),
  tables: path('/v1/feeds/:feed/tables'),
  /** The manifest of the snapshot to download. */
  snapshot: path('/v1/feeds/:feed/snapshot'),
  snapshotFile: path('/v1/feeds/:feed/snapshots/:epoch/:scopes/:seq'),
  digests: path('/v1/feeds/:feed/snapshots/:epoch/:scopes/:seq/digests'),
  rows: path('/v1/feeds/:feed/snapshots/:epoch/:scopes/:seq/rows'),
} as const;
