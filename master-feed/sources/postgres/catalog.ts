import { createHash } from 'node:crypto';
import type pg from 'pg';
import type { SourceTable } from '../../source.ts';
import { ident, literal, rows } from './sql.ts';
import { mapType } from './type-mapping.ts';
import type { Form } from './values.ts';

/**
 * Reads the catalogue: the tables, the columns that identify their rows, and signs of row changes that are not in the
 * log. It never writes; prerequisites.ts evaluates the result.
 */

export interface PostgresColumn {
  name: string;
  form: Form;
  /** OID of the type in the replication stream. For a domain, this is the domain's own OID. */
  typeOid: number;
  modifier: number;
}

/** A partition that holds rows. */
export interface Leaf {
  oid: number;
  /** Qualified and quoted name. */
  name: string;
  /** Whether the log contains complete old rows: REPLICA IDENTITY FULL. */
  full: boolean;
  /**
   * Columns of the replica identity: the primary key or an index. Empty if there is none, or if the log contains
   * complete rows.
   */
  identity: string[];
  /** File node number. A rewrite or TRUNCATE changes it. */
  file: number;
  /** Why the log does not contain the partition's changes: it is unlogged, or a foreign table. Null if it does. */
  unlogged: 'unlogged' | 'foreign' | null;
}

/**
 * Changes when a table's rows may have changed in a way that the log does not contain. `shape` covers columns, key,
 * labels and fields of types, and partitions with their files. ALTER TABLE with a rewrite changes both `attributes` and
 * `file`. A new default changes only `attributes`; TRUNCATE and VACUUM FULL change only `file`. `published` identifies
 * when the publication last changed for the table: the log does not contain changes that it omitted earlier.
 */
export type PostgresVersion = { shape: string; attributes: string; file: string; published: string };

/** A relation of the master that relay.yaml may name. `id` is its OID, `columnIds` are attribute numbers. */
export interface PostgresTable extends SourceTable {
  namespace: string;
  relation: string;
  /** The table's name at the replica. */
  name: string;
  /** pg_class.relkind: `r` table, `p` partitioned table, `v` view, `S` sequence, … */
  kind: string;
  unlogged: boolean;
  /** The published columns, in order. */
  columns: PostgresColumn[];
  /** Generated columns that the master does not publish. */
  computed: string[];
  /** The columns that identify rows: the primary key or the replica identity index. Empty if there is neither. */
  key: string[];
  /** Whether the log contains complete old rows: the table and each partition have REPLICA IDENTITY FULL. */
  full: boolean;
  /** The partitions that hold the table's rows. */
  leaves: Leaf[];
  version: PostgresVersion;
  /** Whether the user has SELECT on the complete table. */
  readable: boolean;
  /** Whether the user has SELECT on some columns only. */
  partlyReadable: boolean;
  /** Whether the user has USAGE on the table's schema. */
  reachable: boolean;
  /** Whether the user owns the table, itself or through a role. Only an owner may publish it. */
  owned: boolean;
  /** Tables that inherit from this one and are not its partitions, with their qualified names. */
  children: { id: number; name: string }[];
  /** Whether row-level security hides rows from the user. The log would contain them nevertheless. */
  policed: boolean;
}

/**
 * Returns SQL for the columns of an index of the relation `r`, in order. `which` is a condition on `i`, a row of
 * pg_index.
 */
const indexColumns = (r: string, which: string) => `
  (SELECT array_to_json(array_agg(a.attname ORDER BY k.n))
   FROM pg_index i CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY k(attnum, n) JOIN pg_attribute a ON a.attrelid = ${r}.oid AND a.attnum = k.attnum
   WHERE i.indrelid = ${r}.oid AND i.indisvalid AND i.indimmediate AND k.n <= i.indnkeyatts AND ${which})`;

const tablesSql = (publication: string) => `
SELECT c.oid, n.nspname AS namespace, c.relname AS relation, c.relkind AS kind, c.relpersistence AS persistence, c.relreplident AS identity, c.relfilenode AS file,
  has_table_privilege(c.oid, 'SELECT') AS readable, has_any_column_privilege(c.oid, 'SELECT') AS partly_readable,
  has_schema_privilege(n.oid, 'USAGE') AS reachable, pg_has_role(c.relowner, 'USAGE') AS owned, row_security_active(c.oid) AS policed,
  (SELECT concat_ws(' ', p.oid, p.xmin, r.oid) FROM pg_publication p JOIN pg_publication_rel r ON r.prpubid = p.oid
   WHERE p.pubname = ${literal(publication)} AND r.prrelid = c.oid) AS published,
  (SELECT array_to_json(array_agg(json_build_array(a.attname, b.oid::int8, b.modifier, format_type(a.atttypid, a.atttypmod), a.attgenerated, a.atttypid::int8, a.atttypmod, a.attnum, a.xmin::text,
     (SELECT string_agg(e.enumlabel, ',' ORDER BY e.oid) FROM pg_enum e WHERE e.enumtypid IN (b.oid, bt.typelem)),
     (SELECT string_agg(f.atttypid::text, ',' ORDER BY f.attnum) FROM pg_attribute f WHERE f.attrelid = bt.typrelid AND f.attnum > 0 AND NOT f.attisdropped),
     bt.typtype) ORDER BY a.attnum))
   FROM pg_attribute a CROSS JOIN LATERAL (
     WITH RECURSIVE base(oid, modifier, depth) AS (
       SELECT a.atttypid, a.atttypmod, 0
       UNION ALL SELECT t.typbasetype, CASE WHEN t.typtypmod >= 0 THEN t.typtypmod ELSE base.modifier END, base.depth + 1
         FROM base JOIN pg_type t ON t.oid = base.oid WHERE t.typtype = 'd')
     SELECT oid, modifier FROM base ORDER BY depth DESC LIMIT 1) b JOIN pg_type bt ON bt.oid = b.oid
   WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns,
  ${indexColumns('c', "CASE c.relreplident WHEN 'i' THEN i.indisreplident WHEN 'n' THEN false ELSE i.indisprimary END")} AS key,
  ${indexColumns('c', 'i.indisprimary')} AS primary,
  CASE c.relkind WHEN 'p' THEN (WITH RECURSIVE part(oid) AS (
      SELECT h.inhrelid FROM pg_inherits h WHERE h.inhparent = c.oid
      UNION ALL SELECT h.inhrelid FROM pg_inherits h JOIN part ON h.inhparent = part.oid)
    SELECT array_to_json(array_agg(json_build_array(format('%I.%I', ln.nspname, l.relname), l.relreplident, l.oid::int8, l.relfilenode::int8,
      ${indexColumns('l', "CASE l.relreplident WHEN 'i' THEN i.indisreplident WHEN 'd' THEN i.indisprimary ELSE false END")},
      CASE WHEN l.relkind = 'f' THEN 'foreign' WHEN l.relpersistence = 'u' THEN 'unlogged' END) ORDER BY l.oid))
    FROM part JOIN pg_class l ON l.oid = part.oid JOIN pg_namespace ln ON ln.oid = l.relnamespace WHERE l.relkind <> 'p') END AS leaves,
  CASE c.relkind WHEN 'r' THEN (SELECT array_to_json(array_agg(json_build_object('id', k.oid::int8, 'name', format('%I.%I', kn.nspname, k.relname)) ORDER BY k.oid))
    FROM pg_inherits h JOIN pg_class k ON k.oid = h.inhrelid JOIN pg_namespace kn ON kn.oid = k.relnamespace WHERE h.inhparent = c.oid) END AS children
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND NOT c.relispartition AND n.nspname NOT IN ('pg_catalog', 'information_schema')
  AND n.nspname NOT LIKE 'pg\\_toast%' AND n.nspname NOT LIKE 'pg\\_temp%'
ORDER BY n.nspname, c.relname`;

type ColumnJson = [
  name: string,
  baseOid: number,
  baseModifier: number,
  source: string,
  generated: string,
  typeOid: number,
  modifier: number,
  attnum: number,
  xmin: string,
  /** Labels of an enum, or of the enum elements of an array. */
  labels: string | null,
  /** Type OIDs of the fields of a composite, or of the composite elements of an array. */
  fields: string | null,
  /** pg_type.typtype of the base type. */
  typtype: string,
];
type LeafJson = [
  name: string,
  identity: string,
  oid: number,
  file: number,
  columns: string[] | null,
  unlogged: Leaf['unlogged'],
];

/**
 * Reads all relations to which a name in relay.yaml can refer. `generated` states whether the master publishes stored
 * generated columns.
 */
export async function readTables(client: pg.Client, generated: boolean, publication: string): Promise<PostgresTable[]> {
  return (await rows(client, tablesSql(publication))).map((row) => {
    const all = JSON.parse(row.columns ?? '[]') as ColumnJson[];
    const isPublished = ([, , , , kind]: ColumnJson) => kind === '' || (kind === 's' && generated);
    const namespace = row.namespace ?? '';
    const relation = row.relation ?? '';
    const name = namespace === 'public' ? relation : `${namespace}.${relation}`;
    const leaves = (JSON.parse(row.leaves ?? '[]') as LeafJson[]).map(
      ([leaf, identity, oid, file, logged, unlogged]) => ({
        oid,
        name: leaf,
        full: identity === 'f',
        identity: logged ?? [],
        file,
        unlogged,
      }),
    );
    const identity = JSON.parse(row.key ?? '[]') as string[];
    // Partitions do not inherit the replica identity of their root table, and the partitions write the log.
    const primary = row.kind === 'p' ? (JSON.parse(row.primary ?? '[]') as string[]) : [];
    const key =
      [identity, primary].find((columns) => columns.length > 0 && leavesWithoutKey(leaves, columns).length === 0) ??
      identity;
    const columns = all.filter(isPublished);
    const mapped = columns.map(
      ([column, baseOid, baseModifier, source, , typeOid, modifier, attnum, , , , typtype]) => ({
        name: column,
        source,
        typeOid,
        modifier,
        attnum,
        ...mapType(baseOid, baseModifier, typtype),
      }),
    );
    return {
      id: Number(row.oid),
      columnIds: mapped.map(({ attnum }) => attnum),
      namespace,
      relation,
      name,
      kind: row.kind ?? '',
      unlogged: row.persistence === 'u',
      columns: mapped.map(({ name: column, form, typeOid, modifier }) => ({ name: column, form, typeOid, modifier })),
      computed: all.filter((column) => !isPublished(column)).map(([column]) => column),
      key,
      full: row.identity === 'f' && leaves.every(({ full }) => full),
      leaves,
      version: {
        shape: digest([
          mapped.map(({ name: column, source, typeOid, modifier, attnum }) => [
            column,
            source,
            typeOid,
            modifier,
            attnum,
          ]),
          columns.map(([, , , , , , , , , labels, fields]) => [labels, fields]),
          key,
          leaves.map(({ oid, file }) => [oid, file]),
        ]),
        attributes: digest(columns.map(([, , , , , , , , xmin]) => xmin)),
        file: row.file ?? '',
        published: row.published ?? '',
      },
      readable: row.readable === 't',
      partlyReadable: row.partly_readable === 't',
      reachable: row.reachable === 't',
      owned: row.owned === 't',
      children: JSON.parse(row.children ?? '[]') as PostgresTable['children'],
      policed: row.policed === 't',
      schema: {
        name,
        columns: mapped.map(({ name: column, type, logical, source }) => ({ name: column, type, logical, source })),
        key,
      },
    };
  });
}

/** Returns the partitions whose log does not contain the key of old rows. */
export function leavesWithoutKey(leaves: readonly Leaf[], key: readonly string[]): Leaf[] {
  return leaves.filter(({ full, identity }) => !full && !key.every((column) => identity.includes(column)));
}

/** Returns the qualified and quoted name of a table. */
export function qualified(table: Pick<PostgresTable, 'namespace' | 'relation'>): string {
  return `${ident(table.namespace)}.${ident(table.relation)}`;
}

const digest = (value: unknown) => createHash('sha256').update(JSON.stringify(value)).digest('base64url').slice(0, 16);

const FINGERPRINT_SQL = `
WITH mine AS MATERIALIZED (SELECT * FROM pg_class WHERE oid >= 16384 AND relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND relpersistence <> 't')
SELECT md5(concat_ws('/',
  (SELECT string_agg(concat_ws(' ', oid, relname, relnamespace, relkind, relpersistence, relreplident, relfilenode, relispartition, relowner, relacl, relrowsecurity, relforcerowsecurity), ',' ORDER BY oid) FROM mine),
  (SELECT string_agg(concat_ws(' ', a.attrelid, a.attnum, a.attname, a.atttypid, a.atttypmod, a.xmin), ',' ORDER BY a.attrelid, a.attnum)
   FROM pg_attribute a JOIN mine ON mine.oid = a.attrelid WHERE a.attnum > 0 AND NOT a.attisdropped),
  (SELECT string_agg(concat_ws(' ', i.indexrelid, i.indrelid, i.indisprimary, i.indisreplident, i.indisvalid, i.indimmediate, i.indkey), ',' ORDER BY i.indexrelid)
   FROM pg_index i JOIN mine ON mine.oid = i.indrelid),
  (SELECT string_agg(concat_ws(' ', inhrelid, inhparent), ',' ORDER BY inhrelid, inhparent) FROM pg_inherits),
  (SELECT string_agg(concat_ws(' ', oid, enumlabel), ',' ORDER BY oid) FROM pg_enum),
  (SELECT string_agg(concat_ws(' ', a.attrelid, a.attnum, a.atttypid), ',' ORDER BY a.attrelid, a.attnum)
   FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid WHERE c.relkind = 'c' AND NOT a.attisdropped),
  (SELECT string_agg(concat_ws(' ', oid, nspname, nspowner, nspacl), ',' ORDER BY oid) FROM pg_namespace WHERE nspname NOT LIKE 'pg\\_%'),
  (SELECT concat_ws(' ', datdba, datacl) FROM pg_database WHERE datname = current_database()),
  (SELECT string_agg(concat_ws(' ', oid, rolsuper, rolbypassrls, rolreplication, pg_has_role(oid, 'USAGE')), ',' ORDER BY oid)
   FROM pg_roles WHERE pg_has_role(oid, 'MEMBER')),
  (SELECT string_agg(concat_ws(' ', oid, xmin), ',' ORDER BY oid) FROM pg_publication),
  (SELECT string_agg(concat_ws(' ', classid, objid), ',' ORDER BY classid, objid) FROM pg_depend WHERE refclassid = 'pg_publication'::regclass)
)) AS fingerprint`;

/**
 * Returns a text that changes whenever the result of {@link readTables}, or the user's right to read or publish a table,
 * may have changed. It is cheap enough for every heartbeat.
 */
export async function readFingerprint(client: pg.Client): Promise<string> {
  const [row] = await rows(client, FINGERPRINT_SQL);
  return row?.fingerprint ?? '';
}
