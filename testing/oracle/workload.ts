import type pg from 'pg';
import { KINDS, type Kind } from './column-kinds.ts';
import type { OracleColumn } from './oracle.ts';
import type { Random } from './random.ts';

/** Random tables and random transactions, as SQL, for tests that compare the master with a replica. */

export interface Column {
  name: string;
  kind: Kind;
  /** Whether schema changes must not touch the column, because a filter tests it. */
  fixed?: boolean;
}

/** The description of a random table. {@link work} generates transactions from it. */
export interface RandomTable {
  name: string;
  key: Column[];
  others: Column[];
}

const ODD_NAMES = ['order', 'Größe', 'with space', 'UPPER', "quo'te", 'dou"ble', 'select'];
const ident = (name: string) => `"${name.replaceAll('"', '""')}"`;

/** Creates `count` tables with random columns, keys and replica identities. */
export async function createTables(master: pg.Client, random: Random, count: number): Promise<RandomTable[]> {
  const tables: RandomTable[] = [];
  for (let t = 0; t < count; t++) {
    const keyKinds = KINDS.filter((kind) => kind.key);
    const key = Array.from({ length: random.int(1, 2) }, (_, i) => ({ name: `k${i}`, kind: random.pick(keyKinds) }));
    const others = Array.from({ length: random.int(0, 9) }, (_, i) => ({
      name: random.chance(0.2) ? `${random.pick(ODD_NAMES)} ${i}` : `c${i}`,
      kind: random.pick(KINDS),
    }));
    const table = { name: random.chance(0.3) ? `${random.pick(ODD_NAMES)} ${t}` : `t${t}`, key, others };
    const columns = [...key, ...others].map((column) => `${ident(column.name)} ${column.kind.sql}`);
    await master.query(
      `CREATE TABLE ${ident(table.name)} (${columns.join(', ')}, PRIMARY KEY (${key.map((column) => ident(column.name)).join(', ')}))`,
    );
    if (random.chance(0.25)) await master.query(`ALTER TABLE ${ident(table.name)} REPLICA IDENTITY FULL`);
    tables.push(table);
  }
  return tables;
}

export function oracleColumns(table: RandomTable): OracleColumn[] {
  return [...table.key, ...table.others].map(({ name, kind }) => ({ name, rule: kind.rule }));
}

function statement(random: Random, table: RandomTable): string {
  const name = ident(table.name);
  const columns = [...table.key, ...table.others];
  const value = (column: Column, nullable: boolean) =>
    nullable && random.chance(0.15) ? 'NULL' : `(${column.kind.literal(random)})::${column.kind.sql}`;
  const some = `ctid IN (SELECT ctid FROM ${name} ORDER BY ${table.key.map((column) => ident(column.name)).join(', ')} OFFSET ${random.int(0, 20)} LIMIT ${random.int(1, 6)})`;
  const kind = random.next();
  if (kind < 0.5) {
    const rows = Array.from(
      { length: random.chance(0.1) ? 60 : random.int(1, 4) },
      () => `(${columns.map((column) => value(column, !table.key.includes(column))).join(', ')})`,
    );
    return `INSERT INTO ${name} (${columns.map((column) => ident(column.name)).join(', ')}) VALUES ${rows.join(', ')} ON CONFLICT DO NOTHING`;
  }
  if (kind < 0.8 && table.others.length > 0) {
    const column = random.pick(table.others);
    return `UPDATE ${name} SET ${ident(column.name)} = ${value(column, true)} WHERE ${some}`;
  }
  if (kind < 0.88) {
    const column = random.pick(table.key);
    const one = some.replace(/LIMIT \d+/, 'LIMIT 1');
    return `UPDATE ${name} SET ${ident(column.name)} = ${value(column, false)} WHERE ${one}`;
  }
  return kind < 0.985 ? `DELETE FROM ${name} WHERE ${some}` : `TRUNCATE ${name}`;
}

/**
 * Runs random transactions. Some transactions roll back, and some statements do. A unique violation rolls back only its
 * statement.
 */
export async function work(
  master: pg.Client,
  random: Random,
  tables: RandomTable[],
  transactions: number,
): Promise<void> {
  for (let i = 0; i < transactions; i++) {
    await master.query('BEGIN');
    const statements = random.chance(0.05) ? random.int(30, 80) : random.int(1, 5);
    for (let s = 0; s < statements; s++) {
      await master.query('SAVEPOINT s');
      try {
        await master.query(statement(random, random.pick(tables)));
        if (random.chance(0.1)) await master.query('ROLLBACK TO s');
      } catch (error) {
        if ((error as { code?: string }).code !== '23505') throw error;
        await master.query('ROLLBACK TO s');
      }
    }
    await master.query(random.chance(0.1) ? 'ROLLBACK' : 'COMMIT');
  }
}
