import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { connect } from '@tidemark/testing/oracle';
import { type EmbeddedPostgres, freePort, startPostgres } from '@tidemark/testing/postgres/embedded';
import { type Finished, run } from '@tidemark/testing/processes';
import { System } from '@tidemark/testing/system';
import { temporaryFolder } from '@tidemark/testing/temporary-folder';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';

/**
 * A feed that has never run exits on a mistake in the source's address or sign-in, with a message that names the
 * remedy.
 */

const CANARY = 'c4nary';
let postgres: EmbeddedPostgres;
let folder: string;
beforeAll(async () => {
  folder = temporaryFolder('sign-in');
  postgres = await startPostgres();
  const admin = await connect(postgres.url);
  await admin.query(`CREATE ROLE feed LOGIN SUPERUSER PASSWORD 'right'`);
  await admin.end();
});
afterAll(async () => {
  await postgres?.stop();
});
const cleanup: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const stop of cleanup.splice(0).reverse()) await stop();
});

/** Runs the feed until it exits. No server listens on the relay's address. */
async function feed(source: string, environment: NodeJS.ProcessEnv = {}, more: string[] = []): Promise<Finished> {
  return run('feed', ['run', '--feed', 'shop', '--relay', 'http://127.0.0.1:9', ...more], {
    TIDEMARK_SOURCE: source,
    TIDEMARK_TOKEN: 'x'.repeat(43),
    // Exclude the password settings of the person who runs the tests.
    PGPASSFILE: path.join(folder, 'none'),
    PGPASSWORD: undefined,
    ...environment,
  });
}

const address = (user = 'feed', port = postgres.port, host = '127.0.0.1') =>
  `postgres://${user}@${host}:${port}/postgres`;

function expectEnd({ code, stdout, stderr }: Finished, exitCode: number, message: RegExp): void {
  expect({ code, stderr }).toEqual({ code: exitCode, stderr: expect.stringMatching(message) });
  expect(stderr + stdout).not.toContain(CANARY);
  expect(stderr).not.toMatch(/SCRAM|ENOTFOUND|ECONNREFUSED|internal/);
}

test('a missing password: reports where to put the password', async () => {
  expectEnd(await feed(address()), 1, /source_denied: .*PGPASSWORD.*host:port:database:user:password.*PGPASSFILE/);
});

test('reports a wrong password without printing it', async () => {
  const wrong = { PGPASSWORD: CANARY };
  expectEnd(await feed(address(), wrong), 1, /source_denied: .*password authentication failed for user "feed"/);
  expectEnd(await feed(address(`feed:${CANARY}`)), 1, /source_denied: .*password authentication failed/);
});

test('reads a password file in the same way as libpq', async () => {
  const file = path.join(folder, 'pgpass');
  writeFileSync(file, `127.0.0.1:${postgres.port}:*:feed:right\n`, { mode: 0o600 });
  const unreachable = run('feed', ['run', '--feed', 'shop', '--relay', 'http://127.0.0.1:9'], {
    TIDEMARK_SOURCE: `${address()}?options=-c%20no_such_setting%3D1`,
    TIDEMARK_TOKEN: 'x'.repeat(43),
    PGPASSWORD: undefined,
    PGPASSFILE: file,
  });
  // The sign-in succeeds; the next check fails.
  expectEnd(await unreachable, 78, /config_invalid: .*no_such_setting.*Correct options=/);
});

test('an empty PGPASSWORD does not hide the password file', async () => {
  const file = path.join(folder, 'pgpass-beside-empty');
  writeFileSync(file, `127.0.0.1:${postgres.port}:*:feed:right\n`, { mode: 0o600 });
  const source = `${address()}?options=-c%20no_such_setting%3D1`;
  // The sign-in succeeds; the next check fails.
  expectEnd(await feed(source, { PGPASSWORD: '', PGPASSFILE: file }), 78, /config_invalid: .*no_such_setting/);
});

test('warns once that the connection to another host is not encrypted', async () => {
  const ended = await feed(address('feed:right', postgres.port, 'no-such-host.invalid'));
  expect(ended.stdout.match(/"event":"not-encrypted"/g)).toHaveLength(1);
  expect(ended.stdout).toMatch(/"level":40.*may read the password\. Add \?sslmode=verify-full/);
  expect((await feed(address())).stdout).not.toContain('not-encrypted');
});

test('plain-http: warns once that the key and the data go to the relay in plain text', async () => {
  const source = `${address('feed:right')}?options=-c%20no_such_setting%3D1`;
  const ended = await feed(source, {}, ['--relay', 'http://relay.invalid:4600']);
  expect(ended.stdout.match(/"event":"not-encrypted"/g)).toHaveLength(1);
  expect(ended.stdout).toMatch(/"level":40.*--relay: http:\/\/ sends the key and all data to relay.invalid:4600/);
  for (const relay of ['https://relay.invalid', 'http://localhost:9'])
    expect((await feed(source, {}, ['--relay', relay])).stdout).not.toContain('not-encrypted');
});

test.each(['#', '/', '@', '%', '?', ' ', '\\'])(
  'a password with %s in the address: reports the part of the address and the encoding',
  async (character) => {
    for (const password of [`${CANARY}${character}x`, `x${character}${CANARY}`, `12${character}${CANARY}`]) {
      const source = address(`feed:${password}`);
      expectEnd(await feed(source), 78, /config_invalid: .*--source.*@ as %40.*PGPASSFILE/);
      expectEnd(await feed('', {}, ['--source', source, '--json']), 78, /"code":"config_invalid"/);
    }
  },
);

test('the feed exits after some attempts for an unknown host and for a port without a server', async () => {
  const nobody = await freePort();
  const [host, port] = await Promise.all([
    feed(address('feed:right', postgres.port, 'no-such-host.invalid')),
    feed(address('feed:right', nobody)),
  ]);
  expectEnd(host, 1, /source_unreachable: .*(no host of this name|cannot be resolved).*Check the address/);
  expectEnd(port, 1, /source_unreachable: .*nothing accepts connections on this host and port.*Check the address/);
});

test('the feed exits after some attempts for the port of another service', async () => {
  const other = createServer((_, response) => response.end());
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
  cleanup.push(async () => other.close());
  const { port } = other.address() as AddressInfo;
  expectEnd(await feed(address('feed:right', port)), 1, /source_unreachable: .*Check the address/);
});

test('the feed exits after some attempts for a database that does not exist', async () => {
  const missing = new URL(address('feed:right'));
  missing.pathname = '/no_such_database';
  expectEnd(await feed(missing.href), 1, /source_unreachable: .*"no_such_database" does not exist/);
});

test('reports a configuration error for an sslrootcert that does not exist', async () => {
  const source = `${address('feed:right')}?sslmode=verify-full&sslrootcert=${folder}/none.pem`;
  expectEnd(await feed(source), 78, /config_invalid: .*sslrootcert names a file that cannot be read/);
});

test('reports a configuration error for sslmode=require with a server without TLS', async () => {
  expectEnd(
    await feed(`${address('feed:right')}?sslmode=require`),
    78,
    /config_invalid: .*does not support TLS.*sslmode=disable/,
  );
});

test('prints the statements to run and exits when all replication slots of the master are in use', async () => {
  const full = await startPostgres({ settings: { max_replication_slots: '1' } });
  cleanup.push(() => full.stop());
  const admin = await connect(full.url);
  await admin.query('CREATE TABLE note (id int PRIMARY KEY)');
  await admin.query("SELECT pg_create_physical_replication_slot('other')");
  await admin.end();
  const system = await System.start(full.url);
  cleanup.push(() => system.stop());
  const ended = await system.feed?.ended;
  expect(ended?.stderr).toMatch(
    /source_not_ready: [\s\S]*All 1 replication slots are in use.*needs one of other.*pg_drop_replication_slot.*max_replication_slots = 11/,
  );
  expect(ended?.code).toBe(1);
});

describe('a server with a self-signed certificate', () => {
  let secure: EmbeddedPostgres;
  let certificate: string;
  beforeAll(async () => {
    certificate = path.join(folder, 'server.pem');
    const key = path.join(folder, 'server.key');
    const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
    execFileSync(
      'openssl',
      ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-out', certificate, ...subject],
      {
        stdio: 'ignore',
      },
    );
    secure = await startPostgres();
    const { uid, gid } = statSync(secure.dataDir);
    for (const name of ['server.pem', 'server.key']) {
      const file = path.join(secure.dataDir, name);
      writeFileSync(file, readFileSync(path.join(folder, name)));
      if (process.getuid?.() === 0) chownSync(file, uid, gid);
      chmodSync(file, 0o600);
    }
    await secure.restart({ ssl: 'on', ssl_cert_file: 'server.pem', ssl_key_file: 'server.key' });
  });
  afterAll(async () => {
    await secure?.stop();
  });

  test.each(['require', 'verify-full'])(
    "reports a configuration error for sslmode=%s without the server's certificate",
    async (mode) => {
      expectEnd(
        await feed(`${secure.url}?sslmode=${mode}`),
        78,
        /config_invalid: .*certificate is not accepted: self-signed certificate.*sslrootcert=FILE.*no-verify/,
      );
    },
  );

  test("accepts the server's certificate as sslrootcert", async () => {
    const source = `${secure.url}?sslmode=verify-full&sslrootcert=${certificate}`;
    expectEnd(await feed(`${source}&options=-c%20no_such_setting%3D1`), 78, /no_such_setting/);
  });
});
