// Replicates changed documents from a PouchDB server over HTTP: `node pouch.js <replica> <folder> <changed> <runs>`.
import { createRequire } from 'node:module';
import path from 'node:path';
import { rowsOf, say } from './data.js';

const require = createRequire(import.meta.url);
const express = require('express');
const PouchDB = require('pouchdb');
const expressPouch = require('express-pouchdb');

const [replica, folder, changed, runs] = process.argv.slice(2);
const rows = rowsOf(replica, Number(changed)).map(({ id, ...row }) => ({ ...row, _id: String(id) }));
const Server = PouchDB.defaults({ prefix: path.join(folder, 'pouch-server-') });
const app = express();
app.use(
  '/',
  expressPouch(Server, { inMemoryConfig: true, mode: 'minimumForPouchDB', logPath: path.join(folder, 'pouch.log') }),
);
const listening = app.listen(0, '127.0.0.1');
await new Promise((resolve) => listening.once('listening', resolve));
const source = new Server('item');
const local = new PouchDB(path.join(folder, 'pouch-local'));
const remote = new PouchDB(`http://127.0.0.1:${listening.address().port}/item`);
const write = async (docs) => {
  for (const [i, answer] of (await source.bulkDocs(docs)).entries()) {
    if (answer.error) throw new Error(answer.reason);
    docs[i]._rev = answer.rev;
  }
};
const pull = () => local.replicate.from(remote, { batch_size: 1000, batches_limit: 10 });
await write(rows);
await pull();
const seconds = [];
for (let run = 0; run < Number(runs); run++) {
  for (const row of rows) row.name = `${row.name.slice(0, 18)}${run}`;
  await write(rows);
  const begin = performance.now();
  const done = await pull();
  seconds.push((performance.now() - begin) / 1000);
  if (done.docs_written !== rows.length) throw new Error(`${done.docs_written} documents came`);
}
say({ seconds });
process.exit(0);
