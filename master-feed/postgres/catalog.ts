import type { TableSchema } from '@tidemark/protocol/schema.ts';
import type pg from 'pg';
import { ident, rows } from './connection.ts';
import { type Form, mapType } from './values.ts';

export interface SourceColumn {
  name: string;
  form: Form;
  /** As the replication stream names it: of a domain, the domain itself. */
  typeOid: number;
  modifier: number;
}

/** A table of the master that can be published, or why it cannot. */
export interface SourceTable {
  oid: number;
  namespace: string;
  relation: string;
  /** Name at the replica. */
  name: string;
  /** Postgres' relkind: `r` table, `p` partitioned, `v` view, … */
  kind: string;
  unlogged: boolean;
  /** Columns that travel, in order. */
  columns: SourceColumn[];
  /** Columns that the master computes and does not publish. */
  computed: string[];
  /** The columns by which rows are known: primary key, or replica identity index. Empty: none. */
  key: string[];
  readable: boolean;
  schema: TableSchema;
}

const TABLES_SQL = `
SELECT c.oid, n.nspname AS namespace, c.relname AS relation, c.relkind AS kind, c.relpersistence AS persistence, c.relreplident AS identity,
  has_table_privilege(c.oid, 'SELECT') AS readable,
  (SELECT array_to_json(array_agg(json_build_array(a.attname, b.oid::int8, b.modifier, format_type(a.atttypid, a.atttypmod), a.attgenerated, a.atttypid::int8, a.atttypmod) ORDER BY a.attnum))
   FROM pg_attribute a CROSS JOIN LATERAL (
     WITH RECURSIVE base(oid, modifier, depth) AS (
       SELECT a.atttypid, a.atttypmod, 0
       UNION ALL SELECT t.typbasetype, CASE WHEN t.typtypmod >= 0 THEN t.typtypmod ELSE base.modifier END, base.depth + 1
         FROM base JOIN pg_type t ON t.oid = base.oid WHERE t.typtype = 'd')
     SELECT oid, modifier FROM base ORDER BY depth DESC LIMIT 1) b
   WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns,
  (SELECT array_to_json(array_agg(a.attname ORDER BY k.n))
   FROM pg_index i CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY k(attnum, n) JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum
   WHERE i.indrelid = c.oid AND i.indisvalid AND i.indimmediate AND k.n <= i.indnkeyatts
     AND CASE c.relreplident WHEN 'i' THEN i.indisreplident WHEN 'n' THEN false ELSE i.indisprimary END) AS key
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition AND n.nspname NOT IN ('pg_catalog', 'information_schema')
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
];

/** All relations of the database that a name in relay.yaml could mean. `generated`: whether the master publishes stored generated columns. */
export async function readTables(client: pg.Client, generated: boolean): Promise<SourceTable[]> {
  return (await rows(client, TABLES_SQL)).map((row) => {
    const all = JSON.parse(row.columns ?? '[]') as ColumnJson[];
    const travels = ([, , , , kind]: ColumnJson) => kind === '' || (kind === 's' && generated);
    const namespace = row.namespace ?? '';
    const relation = row.relation ?? '';
    const name = namespace === 'public' ? relation : `${namespace}.${relation}`;
    const key = JSON.parse(row.key ?? '[]') as string[];
    const mapped = all.filter(travels).map(([column, baseOid, baseModifier, source, , typeOid, modifier]) => ({
      name: column,
      source,
      typeOid,
      modifier,
      ...mapType(baseOid, baseModifier),
    }));
    return {
      oid: Number(row.oid),
      namespace,
      relation,
      name,
      kind: row.kind ?? '',
      unlogged: row.persistence === 'u',
      columns: mapped.map(({ name: column, form, typeOid, modifier }) => ({ name: column, form, typeOid, modifier })),
      computed: all.filter((column) => !travels(column)).map(([column]) => column),
      key,
      readable: row.readable === 't',
      schema: { name, columns: mapped.map(({ name: column, type, source }) => ({ name: column, type, source })), key },
    };
  });
}

/** The table's name for SQL. */
export function qualified(table: Pick<SourceTable, 'namespace' | 'relation'>): string {
  return `${ident(table.namespace)}.${ident(table.relation)}`;
}
