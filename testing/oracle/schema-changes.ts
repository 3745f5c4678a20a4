import type pg from 'pg';
import { KINDS, type Kind } from './column-kinds.ts';
import type { Random } from './random.ts';
import type { RandomTable } from './workload.ts';

/**
 * Random schema changes at the master, for tests that compare every table with the oracle.
 *
 * Each change updates the {@link RandomTable} too, so that the workload and the oracle know the new columns.
 */

const ident = (name: string) => `"${name.replaceAll('"', '""')}"`;

/** Types to which a column can change without losing data, by its present type. */
const WIDER: Record<string, string> = {
  smallint: 'integer',
  integer: 'bigint',
  'varchar(40)': 'text',
  'numeric(12,2)': 'numeric(38,10)',
  real: 'double precision',
};

let added = 0;

/** Changes the schema of a table at random, at the master and in the table's description. */
export async function alter(master: pg.Client, random: Random, table: RandomTable): Promise<void> {
  const name = ident(table.name);
  const free = table.others.filter((column) => !column.fixed);
  const kind = random.int(0, 5);
  if (kind === 0 || free.length === 0) {
    const column = { name: `added ${++added}`, kind: random.pick(KINDS) };
    const start = random.chance(0.5) ? ` DEFAULT (${column.kind.literal(random)})::${column.kind.sql}` : '';
    await master.query(`ALTER TABLE ${name} ADD ${ident(column.name)} ${column.kind.sql}${start}`);
    table.others.push(column);
    return;
  }
  const column = random.pick(free);
  if (kind === 1) {
    await master.query(`ALTER TABLE ${name} DROP ${ident(column.name)}`);
    table.others = table.others.filter((other) => other !== column);
  } else if (kind === 2) {
    const next = `renamed ${++added}`;
    await master.query(`ALTER TABLE ${name} RENAME ${ident(column.name)} TO ${ident(next)}`);
    column.name = next;
  } else if (kind === 3) {
    await widen(master, table, column);
  } else if (kind === 4) {
    await master.query(`ALTER TABLE ${name} REPLICA IDENTITY ${random.pick(['FULL', 'DEFAULT'])}`);
  } else {
    // A key with the same columns in another order is a different key.
    const [constraint] = (
      await master.query(
        `SELECT conname FROM pg_constraint WHERE conrelid = '${name.replaceAll("'", "''")}'::regclass AND contype = 'p'`,
      )
    ).rows as { conname: string }[];
    table.key.reverse();
    const key = table.key.map((part) => ident(part.name)).join(', ');
    await master.query(
      `ALTER TABLE ${name} DROP CONSTRAINT ${ident(constraint?.conname ?? '')}, ADD PRIMARY KEY (${key})`,
    );
  }
}

async function widen(master: pg.Client, table: RandomTable, column: { name: string; kind: Kind }): Promise<void> {
  const sql = WIDER[column.kind.sql];
  const kind = KINDS.find((each) => each.sql === sql);
  if (!kind) return;
  await master.query(`ALTER TABLE ${ident(table.name)} ALTER ${ident(column.name)} TYPE ${kind.sql}`);
  column.kind = kind;
}
