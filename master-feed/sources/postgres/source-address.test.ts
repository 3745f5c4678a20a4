import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { temporaryFolder } from '@tidemark/testing/temporary-folder';
import { expect, test } from 'vitest';
import { addressMistake, connectionOptions, encryptionWarning } from './source-address.ts';

test.each([
  'postgres://db.example/shop',
  'postgresql://tidemark@db.example:5433/shop',
  'postgres://tidemark:p%40s%2Fs%23w%25d%3F%20%C3%BC@db.example/shop',
  'postgres://tidemark:a:b!$&*()+,;=@db.example/shop',
  'postgres://user%40azure:secret@db.example/shop?sslmode=verify-full',
  'postgres://tidemark@[::1]:5432/shop',
  'postgres://tidemark@/shop?host=%2Fvar%2Frun%2Fpostgresql',
  'postgres://tidemark@%2Fvar%2Frun/shop',
  'postgres:///shop',
  'postgres://bücher.example/shop',
  'postgres://db/shop?options=-c%20work_mem%3D64MB&application_name=a%40b',
])('accepts %s', (address) => {
  expect(addressMistake(address)).toBeNull();
});

/** Each address contains the canary instead of a password or a part of one. */
const CANARY = 'c4nary';
const MALFORMED: [address: string, part: string][] = [
  [`postgres://u:${CANARY}#x@db/shop`, 'unencoded #'],
  [`postgres://u:x#${CANARY}@db/shop`, 'unencoded #'],
  [`postgres://u:12#${CANARY}@db/shop`, 'unencoded #'],
  [`postgres://u:${CANARY}/x@db/shop`, 'first /'],
  [`postgres://u:12/${CANARY}@db/shop`, 'first /'],
  [`postgres://u:p@${CANARY}/x@db/shop`, 'first /'],
  [`postgres://u:${CANARY}?x@db/shop`, '@ follows the ?'],
  [`postgres://u:12?${CANARY}@db/shop`, '@ follows the ?'],
  [`postgres://u:p@${CANARY}@db/shop`, 'more than one @'],
  [`postgres://u:${CANARY}@@db/shop`, 'more than one @'],
  [`postgres://u:${CANARY}%@db/shop`, '% that begins no escape'],
  [`postgres://u:%zz${CANARY}@db/shop`, '% that begins no escape'],
  [`postgres://u:%ff${CANARY}@db/shop`, '% that begins no escape'],
  [`postgres://u:${CANARY} x@db/shop`, 'a space'],
  [`postgres://u:${CANARY}\\x@db/shop`, 'a space'],
  [`postgres://u:${CANARY}\n@db/shop`, 'a space'],
  [`postgres://u;${CANARY}@db/shop`, 'user name'],
  [`postgres://u:${CANARY}`, 'port'],
  [`postgres://u:${CANARY}/shop`, 'port'],
  [`postgres://u@db:${CANARY}/shop`, 'port'],
  [`postgres://u:x@db:99999${CANARY}/shop`, 'port'],
  [`postgres://u:x@db:70000/${CANARY}`, 'port'],
  [`postgres://u:x@[${CANARY}]/shop`, 'host'],
  [`postgres://u:x@[${CANARY}/shop`, 'host'],
  [`postgres://u:x@db,${CANARY}/shop`, 'host'],
  [`postgres://u:x@db|${CANARY}/shop`, 'host'],
  [`postgres:/u:${CANARY}@db/shop`, 'postgres://user@host/database'],
  [`postgres:u:${CANARY}@db/shop`, 'postgres://user@host/database'],
  [`u:${CANARY}@db/shop`, 'postgres://user@host/database'],
  [`host=db password=${CANARY}`, 'postgres://user@host/database'],
  [` postgres://u:${CANARY}@db/shop`, 'postgres://user@host/database'],
  [`postgres://u:${CANARY}@db/shop?sslmode=${CANARY}`, 'sslmode'],
  [`postgres://u:${CANARY}@db/shop?port=${CANARY}`, 'port'],
  [`postgres://u:${CANARY}@db/shop?sslrootcert=/nowhere/${CANARY}`, 'sslrootcert'],
  [`postgres://u:${CANARY}@db/shop?sslkey=/nowhere/${CANARY}`, 'sslkey'],
  [`postgres://u:${CANARY}@db/shop?sslnegotiation=${CANARY}`, 'TLS'],
];

test.each(MALFORMED)('names the mistake in %j without any part of the password', (address, part) => {
  const mistake = addressMistake(address);
  expect(mistake).toContain(part);
  expect(mistake).not.toContain(CANARY);
});

test('reports an sslrootcert that contains no certificate', () => {
  const file = path.join(temporaryFolder('address'), 'authority.pem');
  writeFileSync(file, 'no certificate');
  expect(addressMistake(`postgres://db/shop?sslrootcert=${file}`)).toContain('sslrootcert names a file that is not');
});

test("options of the address replace PGOPTIONS, and the feed's own options follow them", () => {
  const own = '-c statement_timeout=0';
  const environment = { PGOPTIONS: '-c work_mem=1MB' };
  expect(connectionOptions('postgres://db/shop', environment).options).toBe(`-c work_mem=1MB ${own}`);
  const address = 'postgres://db/shop?options=-c%20work_mem%3D2MB&query_timeout=5&replication=true&sslmode=disable';
  expect(connectionOptions(address, environment)).toEqual({
    connectionString: 'postgres://db/shop?sslmode=disable',
    options: `-c work_mem=2MB ${own}`,
  });
});

test.each<[string, boolean, NodeJS.ProcessEnv?]>([
  ['postgres://tidemark@db.example/shop', true],
  ['postgres://tidemark:secret@db.example:5433/shop?application_name=x', true],
  ['postgres://10.0.0.7/shop', true],
  ['postgres://tidemark@[fe80::7]:5432/shop', true],
  ['postgres://tidemark@localhost/shop?host=db.example', true],
  ['postgres:///shop', true, { PGHOST: 'db.example' }],
  ['postgres:///shop', false],
  ['postgres://localhost:5432/shop', false],
  ['postgres://a@127.0.0.1/shop', false],
  ['postgres://a@[::1]:5432/shop', false],
  ['postgres://a@db.example/shop?host=/run/postgresql', false],
  ['postgres://a@db.example/shop?sslmode=disable', false],
  ['postgres://a@db.example/shop?sslmode=verify-full', false],
  ['postgres://a@db.example/shop', false, { PGSSLMODE: 'require' }],
])('the connection of %s is not encrypted although nobody asked for that: %s', (address, warns, environment = {}) => {
  expect(encryptionWarning(address, environment) !== null).toBe(warns);
  expect(encryptionWarning(address, environment) ?? '').not.toContain('secret');
});
