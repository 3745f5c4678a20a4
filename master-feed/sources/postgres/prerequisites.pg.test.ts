import { connect } from '@tidemark/testing/oracle';
import { type EmbeddedPostgres, startPostgres } from '@tidemark/testing/postgres/embedded';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { PostgresSource } from './postgres-source.ts';

let postgres: EmbeddedPostgres;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(async () => {
  await postgres?.stop();
});

test('the statements for a user whose name needs quotes run as printed', async () => {
  const role = 'Branch "7" feed';
  const quoted = `"${role.replaceAll('"', '""')}"`;
  const admin = await connect(postgres.url);
  await admin.query(`CREATE ROLE ${quoted} LOGIN PASSWORD 'secret'`);
  await admin.query('CREATE TABLE item (id int PRIMARY KEY); CREATE TABLE policed (id int PRIMARY KEY)');
  await admin.query(`ALTER TABLE policed ENABLE ROW LEVEL SECURITY; GRANT SELECT ON policed TO ${quoted}`);
  const url = new URL(postgres.url);
  url.username = encodeURIComponent(role);
  url.password = 'secret';
  const source = new PostgresSource(url.href, 'shop', () => undefined);
  try {
    await source.open();
    const wanted = { listed: null, held: new Set<string>() };
    const error = (await source.describe(wanted).catch((thrown: unknown) => thrown)) as Error;
    expect(error).toMatchObject({ code: 'source_not_ready' });
    const statements = [...error.message.matchAll(/Run: (.*;)$/gm)].map(([, statement]) => statement ?? '');
    expect(statements.map((statement) => statement.split(' ', 1)[0])).toEqual(['ALTER', 'GRANT', 'ALTER']);
    for (const statement of statements) await admin.query(statement);
    const { tables } = await source.describe(wanted);
    expect(tables.map(({ schema }) => schema.name)).toEqual(['item', 'policed']);
  } finally {
    await source.close();
    await admin.end();
  }
});
