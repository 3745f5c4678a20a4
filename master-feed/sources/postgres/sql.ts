import type pg from 'pg';

/** Quotes names and texts for SQL, and reads the rows of a query. Values remain the master's own text. */

/** Quotes a name for Postgres. */
export function ident(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

export function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** Runs a query and returns its rows as objects of texts. */
export async function rows(client: pg.Client, sql: string): Promise<Record<string, string | null>[]> {
  return (await client.query(sql)).rows as Record<string, string | null>[];
}
