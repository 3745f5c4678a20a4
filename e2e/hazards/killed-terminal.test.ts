import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { environmentOf, killPointsIn } from '@tidemark/testing/kill-points';
import { run } from '@tidemark/testing/processes';
import { Random } from '@tidemark/testing/random';
import { temporaryFolder } from '@tidemark/testing/temporary-folder';
import { TestRelay } from '@tidemark/testing/test-relay';
import Database from 'better-sqlite3';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

/**
 * A terminal is killed at each step at which it changes a file.
 *
 * After every kill, the replica holds one committed state: the one before the command or the one after it. The next run
 * succeeds, equals the relay, and leaves no temporary file. See docs/architecture.md, crash points.
 */

const ROWS = 400;
const EVERY_TEST_MS = 20 * 60_000;
/** TIDEMARK_SEED replays a failed chain of kills. */
const SEED = Number(process.env.TIDEMARK_SEED ?? 1);
/** Returns a name that hardly compresses, so that a snapshot arrives in several pieces. */
const noise = (n: number) =>
  Array.from({ length: 40 }, (_, i) =>
    Math.sin(n * 1000 + i)
      .toString(36)
      .slice(2),
  ).join('');

/** The data of a replica that a reader sees. Null: the file does not exist, has no data, or cannot be read. */
type Data = { epoch: string; seq: number; rows: string } | null;

const DAMAGE = 'damaged';

function dataOf(file: string): Data | typeof DAMAGE {
  if (!existsSync(file)) return null;
  let db: Database.Database | null = null;
  try {
    db = new Database(file, { readonly: true, fileMustExist: true });
    if (db.pragma('quick_check(1)', { simple: true }) !== 'ok') return DAMAGE;
    if (!db.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'tidemark_meta'").get()) return null;
    const read = db.transaction((open: Database.Database) => {
      const meta = open.prepare('SELECT epoch, seq FROM tidemark_meta').get() as { epoch: string | null; seq: number };
      if (!meta || meta.epoch === null) return null;
      const status = open.prepare('SELECT epoch, seq FROM tidemark_status').get() as typeof meta;
      const counted = open.prepare("SELECT rows FROM tidemark_table WHERE name = 'item'").pluck().get();
      const rows = open.prepare('SELECT id, name FROM item ORDER BY id').raw().all() as [number, string][];
      // Cursor, status and counts change with the rows.
      expect({ status, counted }).toEqual({ status: { epoch: meta.epoch, seq: meta.seq }, counted: rows.length });
      return { epoch: meta.epoch, seq: meta.seq, rows: JSON.stringify(rows) };
    });
    return read(db);
  } catch (error) {
    if (/malformed|not a database/.test(String(error))) return DAMAGE;
    throw error;
  } finally {
    db?.close();
  }
}

interface Scenario {
  name: string;
  command: string[];
  /** Puts the replica into the state before the command. */
  prepare(file: string): Promise<void> | void;
  /** Checks the damaged file that the next run has kept. */
  keeps?(file: string): void;
  /** The first step of a part that another scenario covers. */
  before?: RegExp;
}

let relay: TestRelay;
/** A replica of an earlier position, and one that equals the relay. */
let earlier: string;
let equal: string;
let home: string;

const args = (command: string[], file: string) => [
  ...command,
  '--relay',
  relay.url,
  '--feed',
  'shop',
  '--token-file',
  relay.tokenFile('terminal'),
  '--db',
  file,
];

/** Runs a command that must succeed. Exit code 3 means only that the feed of this test sends nothing. */
async function succeed(command: string[], file: string, env: NodeJS.ProcessEnv = {}): Promise<void> {
  const done = await run('terminal', args(command, file), env);
  if (done.code !== 0 && done.code !== 3)
    throw new Error(`${command.join(' ')}: exit ${done.code}\n${done.stdout}${done.stderr}`);
}

beforeAll(async () => {
  home = temporaryFolder('killed-terminal');
  relay = await TestRelay.start();
  await relay.base(ROWS, noise);
  earlier = path.join(home, 'earlier.sqlite');
  await succeed(['pull'], earlier);
  await relay.commit(
    'u',
    Array.from({ length: ROWS }, (_, i): [number, string] => [i + 1, noise(i + 5_000)]),
  );
  await relay.current();
  equal = path.join(home, 'equal.sqlite');
  cpSync(earlier, equal);
  await succeed(['pull'], equal);
}, EVERY_TEST_MS);

afterAll(async () => {
  await relay.stop();
  rmSync(home, { recursive: true, force: true });
});

function alter(file: string, sql: string): void {
  const db = new Database(file);
  db.exec(sql);
  db.close();
}

/** Copies a replica, whose newest commit is only in its write-ahead log, and overwrites one page. */
function copyDamaged(from: string, to: string, sql: string, page: number): void {
  const db = new Database(from);
  const undo = db.prepare('SELECT headline FROM tidemark_status').pluck().get();
  db.exec(sql);
  cpSync(`${from}-wal`, `${to}-wal`);
  const bytes = readFileSync(from);
  db.exec('DROP TABLE IF EXISTS mine');
  db.prepare('UPDATE tidemark_status SET headline = ?').run(undo);
  db.close();
  bytes.fill(0xa5, page * 4096, (page + 1) * 4096);
  writeFileSync(to, bytes);
  // The lock shows that the file has been a replica.
  cpSync(`${from}-lock`, `${to}-lock`);
}

/** Returns the rows of another program in a file. */
function rowsOfOthers(file: string): unknown[] {
  const db = new Database(file, { readonly: true });
  try {
    return db.prepare('SELECT n FROM mine').pluck().all();
  } finally {
    db.close();
  }
}

const SCENARIOS: Scenario[] = [
  { name: 'installs its first snapshot', command: ['pull'], prepare: () => undefined },
  {
    name: 'installs a snapshot in place of the data of another epoch',
    command: ['pull'],
    prepare: (file) => {
      cpSync(earlier, file);
      alter(file, "UPDATE tidemark_meta SET epoch = 'zzzzzzzz'; UPDATE tidemark_status SET epoch = 'zzzzzzzz'");
    },
  },
  {
    name: 'repairs rows',
    command: ['verify'],
    prepare: (file) => {
      cpSync(equal, file);
      alter(file, "UPDATE item SET name = 'mine' WHERE id IN (3, 200)");
    },
  },
  {
    name: 'repairs a table that another program replaced',
    command: ['verify'],
    prepare: (file) => {
      cpSync(equal, file);
      alter(file, 'CREATE TABLE other AS SELECT id, name FROM item; DROP TABLE item; ALTER TABLE other RENAME TO item');
    },
  },
  {
    name: 'sets a damaged file aside and takes a fresh copy',
    command: ['recopy', '--yes'],
    prepare: (file) => copyDamaged(equal, file, 'CREATE TABLE mine (n); INSERT INTO mine VALUES (1)', 20),
    // SQLite moves the log into the file when the terminal opens it.
    keeps: (file) => expect(rowsOfOthers(file)).toEqual([1]),
    before: /^open .*download/,
  },
  {
    name: 'sets a file without a valid header aside',
    command: ['recopy', '--yes'],
    prepare: (file) => copyDamaged(equal, file, "UPDATE tidemark_status SET headline = 'in the log'", 0),
    keeps: (file) => {
      const kept = [file, `${file}-wal`].filter(existsSync).map((name) => readFileSync(name));
      expect(kept.some((bytes) => bytes.includes('in the log'))).toBe(true);
    },
    before: /^open .*download/,
  },
];

/** The folder of one replica, which a test can put back into the state before the command. */
class Place {
  readonly folder: string;
  readonly file: string;
  readonly log: string;
  readonly #before: string;

  constructor(name: string) {
    this.folder = path.join(home, name, 'branch');
    this.#before = path.join(home, name, 'before');
    this.file = path.join(this.folder, 'branch.sqlite');
    this.log = path.join(home, name, 'steps');
    rmSync(path.join(home, name), { recursive: true, force: true });
    mkdirSync(this.folder, { recursive: true });
  }

  keep(): void {
    cpSync(this.folder, this.#before, { recursive: true });
  }

  restore(): void {
    rmSync(this.folder, { recursive: true, force: true });
    cpSync(this.#before, this.folder, { recursive: true });
  }

  /**
   * Names of the files other than the replica and its lock. A reader of this test may leave the files of SQLite's
   * write-ahead log.
   */
  leftovers(): string[] {
    return readdirSync(this.folder).filter(
      (name) => !/^branch\.sqlite(-lock|(\.damaged-.*Z)?(-wal|-shm)?)$/.test(name),
    );
  }

  /** Names of the damaged files that were set aside. */
  setAside(): string[] {
    const names = readdirSync(this.folder).filter((name) => /\.damaged-.*Z$/.test(name));
    return names.map((name) => path.join(this.folder, name));
  }

  /** Checks that the next run left nothing but the replica and its damaged file. */
  checkFiles({ keeps }: Scenario, at: string): void {
    expect(this.leftovers(), at).toEqual([]);
    const aside = this.setAside();
    expect(aside.map(dataOf), at).toEqual(keeps ? [DAMAGE] : []);
    for (const file of aside) keeps?.(file);
  }

  async killedAt(command: string[], at: string): Promise<boolean> {
    const order = environmentOf({ module: 'main.ts', at, log: this.log });
    const { signal, code, stdout, stderr } = await run('terminal', args(command, this.file), order);
    if (signal !== 'SIGKILL' && code !== 0 && code !== 3) throw new Error(`${at}: exit ${code}\n${stdout}${stderr}`);
    return signal === 'SIGKILL';
  }
}

/** Prepares a scenario, runs its command once without a kill, and returns its steps and the data before and after it. */
async function rehearse({ name, command, prepare, before: end }: Scenario) {
  const place = new Place(name.replaceAll(/\W+/g, '-'));
  await prepare(place.file);
  place.keep();
  const before = dataOf(place.file);
  await succeed(command, place.file, environmentOf({ module: 'main.ts', at: null, log: place.log }));
  const after = dataOf(place.file);
  expect(after).toEqual(dataOf(equal));
  const steps = killPointsIn(place.log);
  const ends = steps.findIndex((step) => end?.test(step) ?? false);
  return { place, steps: ends < 0 ? steps : steps.slice(0, ends), before, after };
}

describe.each(SCENARIOS)('a terminal that $name', (scenario) => {
  const { command } = scenario;

  test(`leaves one committed state when it is killed at any step`, { timeout: EVERY_TEST_MS }, async () => {
    const { place, steps, before, after } = await rehearse(scenario);
    expect(steps.length).toBeGreaterThan(10);
    let killed = 0;
    for (const at of steps) {
      place.restore();
      if (await place.killedAt(command, at)) killed++;
      const found = dataOf(place.file);
      const states = before === DAMAGE ? [DAMAGE, null, after] : [before, after];
      expect(states, at).toContainEqual(found);
      await succeed(command, place.file);
      expect(dataOf(place.file), at).toEqual(after);
      place.checkFiles(scenario, at);
    }
    // How often a terminal writes its status depends on the time.
    expect(killed).toBeGreaterThan(steps.length * 0.8);
  });

  test(`recovers after a chain of kills (seed ${SEED})`, { timeout: EVERY_TEST_MS }, async () => {
    const random = new Random(SEED);
    const { place, steps, before, after } = await rehearse(scenario);
    place.restore();
    for (let kill = 0; kill < 6; kill++) {
      const at = random.pick(steps);
      await place.killedAt(command, at);
      const states = before === DAMAGE ? [DAMAGE, null, after] : [before, after];
      expect(states, `kill ${kill} at ${at}`).toContainEqual(dataOf(place.file));
    }
    await succeed(command, place.file);
    expect(dataOf(place.file)).toEqual(after);
    place.checkFiles(scenario, 'the last run');
  });
});
