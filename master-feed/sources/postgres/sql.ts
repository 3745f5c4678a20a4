import type pg from 'pg';

/** Writes names and texts into SQL, and reads the rows of a query. Values stay the master's own text. */

/** Quotes a name for Postgres. */
export function ident(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

export function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** Rows of a query, as objects of texts. */
export async function rows(client: pg.Client, sql: string): Promise<Record<string, string | null>[]> {
  return (await client.query(sql)).rows as Record<string, string | null>[];
}
