import { connect } from '@tidemark/testing/oracle';
import { type EmbeddedPostgres, startPostgres } from '@tidemark/testing/postgres/embedded';
import { afterAll, beforeAll } from 'vitest';
import type { ContractChange, ContractMaster } from '../../contract/contract-master.ts';
import { describeSource } from '../../contract/source-contract.ts';
import { PostgresSource } from './postgres-source.ts';

let postgres: EmbeddedPostgres;
let databases = 0;
beforeAll(async () => {
  postgres = await startPostgres({ walLevel: 'logical' });
});
afterAll(async () => {
  await postgres?.stop();
});

function statement(change: ContractChange): string {
  const { table } = change;
  switch (change.op) {
    case 'insert':
      return `INSERT INTO ${table} (id, body) VALUES (${change.id}, '${change.body}')`;
    case 'update':
      return `UPDATE ${table} SET body = '${change.body}' WHERE id = ${change.id}`;
    case 'rekey':
      return `UPDATE ${table} SET id = ${change.to} WHERE id = ${change.id}`;
    case 'delete':
      return `DELETE FROM ${table} WHERE id = ${change.id}`;
    case 'truncate':
      return `TRUNCATE ${table}`;
  }
}

describeSource('Postgres', async (): Promise<ContractMaster> => {
  const feed = `contract${++databases}`;
  let url = await postgres.createDatabase(feed);
  const master = await connect(url);
  return {
    newSource: () => new PostgresSource(url, feed, () => undefined),
    createTable: async (name, rows) => {
      await master.query(`CREATE TABLE ${name} (id int PRIMARY KEY, body text)`);
      await master.query(`INSERT INTO ${name} SELECT n, 'row ' || n FROM generate_series(1, ${rows}) n`);
    },
    addColumn: async (table, column) => {
      await master.query(`ALTER TABLE ${table} ADD COLUMN ${column} text DEFAULT 'new'`);
    },
    renameTable: async (from, to) => {
      await master.query(`ALTER TABLE ${from} RENAME TO ${to}`);
    },
    commit: async (changes) => {
      await master.query(['BEGIN', ...changes.map(statement), 'COMMIT'].join(';'));
    },
    removePrerequisites: async () => {
      await master.query(`CREATE ROLE weak${feed} LOGIN PASSWORD 'weak'`);
      const weak = new URL(url);
      weak.username = `weak${feed}`;
      weak.password = 'weak';
      url = weak.href;
      return ['REPLICATION', 'GRANT SELECT'];
    },
    stop: async () => {
      // Slots survive the connections of a test, and the server has only a few.
      await master.query(
        `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = current_database() AND NOT active`,
      );
      await master.end();
    },
  };
});
