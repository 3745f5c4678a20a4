// Pulls the rows of a replica for the first time with Turso's sync: `node turso.js <replica> <folder> <runs>`. Prints
// the seconds that each run took.
import { spawn, spawnSync } from 'node:child_process';
import net from 'node:net';
import path from 'node:path';
import { connect } from '@tursodatabase/sync';
import { rowsOf, say } from './data.js';

const [replica, folder, runs] = process.argv.slice(2);
const source = path.join(folder, 'turso-server.db');
const rows = rowsOf(replica, -1);
// The sync server sends what is in its log. A writer that is killed leaves the rows there.
const seed = spawnSync(process.execPath, [path.join(import.meta.dirname, 'turso-seed.js'), replica, source]);
if (seed.signal !== 'SIGKILL') throw new Error(`seeding ended (${seed.status}): ${seed.stderr}`);

const port = await new Promise((resolve) => {
  const probe = net.createServer().listen(0, '127.0.0.1', () => {
    const { port } = probe.address();
    probe.close(() => resolve(port));
  });
});
const bin = path.join(import.meta.dirname, 'node_modules/@tursodatabase/cli-linux-x64-gnu/tursodb');
const server = spawn(bin, [source, '--sync-server', `127.0.0.1:${port}`], { stdio: 'ignore' });
try {
  for (;;) {
    const up = await new Promise((resolve) => {
      const socket = net.connect(port, '127.0.0.1', () => resolve(true)).on('error', () => resolve(false));
      socket.on('close', () => undefined);
    });
    if (up) break;
    if (server.exitCode !== null) throw new Error(`the sync server ended (${server.exitCode})`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const seconds = [];
  // The first connection waits half a minute for the server, so it is not measured.
  for (let run = -1; run < Number(runs); run++) {
    const begin = performance.now();
    const local = await connect({ path: path.join(folder, `turso-${run}.db`), url: `http://127.0.0.1:${port}` });
    // `connect` pulls the database when the local file is new. The query below counts the rows that arrived.
    if (run >= 0) seconds.push((performance.now() - begin) / 1000);
    const found = await (await local.prepare('SELECT count(*) AS n FROM item')).get();
    if (found.n !== rows.length) throw new Error(`${found.n} of ${rows.length} rows came`);
    await local.close();
  }
  say({ seconds });
} finally {
  server.kill('SIGKILL');
}
process.exit(0);
