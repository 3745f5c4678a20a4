// Pulls changed rows from an HTTP server as JSON with WatermelonDB:
// `node watermelon.js <replica> <folder> <changed> <runs>`.
import http from 'node:http';
import { createRequire } from 'node:module';
import path from 'node:path';
import { rowsOf, say } from './data.js';

const require = createRequire(import.meta.url);
const { Database, Model, appSchema, tableSchema } = require('@nozbe/watermelondb');
const { default: SQLiteAdapter } = require('@nozbe/watermelondb/adapters/sqlite');
const { synchronize } = require('@nozbe/watermelondb/sync');
const { default: logger } = require('@nozbe/watermelondb/utils/common/logger');
logger.silence();

const [replica, folder, changed, runs] = process.argv.slice(2);
const rows = rowsOf(replica, Number(changed)).map((row) => ({ ...row, id: String(row.id) }));
let answer = '';
const server = http.createServer((_, response) => response.end(answer)).listen(0, '127.0.0.1');
await new Promise((resolve) => server.once('listening', resolve));
const url = `http://127.0.0.1:${server.address().port}`;

class Item extends Model {
  static table = 'item';
}
const schema = appSchema({
  version: 1,
  tables: [
    tableSchema({
      name: 'item',
      columns: [
        { name: 'name', type: 'string' },
        { name: 'amount', type: 'number' },
        { name: 'at', type: 'string' },
        { name: 'note', type: 'string' },
      ],
    }),
  ],
});
const database = new Database({
  adapter: new SQLiteAdapter({ schema, dbName: path.join(folder, 'watermelon') }),
  modelClasses: [Item],
});
let timestamp = 0;
const pull = () =>
  synchronize({
    database,
    pullChanges: async () => (await fetch(url)).json(),
    pushChanges: async () => {},
    sendCreatedAsUpdated: true,
  });
const page = (change) =>
  JSON.stringify({ changes: { item: { created: [], updated: change, deleted: [] } }, timestamp: ++timestamp });
answer = page(rows);
await pull();
const seconds = [];
for (let run = 0; run < Number(runs); run++) {
  answer = page(rows.map((row) => ({ ...row, name: `${row.name.slice(0, 18)}${run}` })));
  const begin = performance.now();
  await pull();
  seconds.push((performance.now() - begin) / 1000);
}
say({ seconds });
process.exit(0);
