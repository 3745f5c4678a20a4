import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { asTidemarkError } from '@tidemark/protocol/errors';
import type { Mode, Run } from '@tidemark/protocol/run';
import { Replica } from '@tidemark/replica/replica';
import { deriveStatus } from '@tidemark/status/derive';
import { createAgent } from '@tidemark/terminal/agent/agent';
import type { AgentSettings } from '@tidemark/terminal/agent/agent-api';
import { recopy } from '@tidemark/terminal/command/recopy';
import { pull, verify } from '@tidemark/terminal/command/run-once';
import { status } from '@tidemark/terminal/command/status';
import { Secret } from '@tidemark/terminal/relay/secret';
import { Random } from '@tidemark/testing/random';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { database, folder, relay, useTerminal } from './terminal-lab.ts';

/**
 * A replica is damaged at a place that a seed selects. Whatever the place, `pull`, `verify` and `status` either work or
 * report `db_damaged`, and `recopy` always ends with the relay's rows.
 */

useTerminal();
// The warning that a damaged file was renamed.
beforeEach(() => void vi.spyOn(console, 'error').mockReturnValue());
afterEach(() => void vi.restoreAllMocks());

const ROWS = 5000;
const CHANGED = 300;
/** More cases: `TIDEMARK_CASES=500`. One case again: `TIDEMARK_SEED=17`. */
const seeds = process.env.TIDEMARK_SEED
  ? [Number(process.env.TIDEMARK_SEED)]
  : Array.from({ length: Number(process.env.TIDEMARK_CASES ?? 26) }, (_, i) => i + 1);

interface Page {
  number: number;
  name: string;
  type: 'internal' | 'leaf' | 'overflow';
  path: string;
}

/** A replica with its write-ahead log, and a list of its pages. */
interface Intact {
  file: Buffer;
  log: Buffer;
  pageBytes: number;
  pages: Page[];
}

interface Damaged {
  file: Buffer;
  log?: Buffer;
}

/** Bytes of the header that hold the low half of the format number. A changed one looks like a newer format. */
const FORMAT_AT = [62, 63];

function scribble(bytes: Buffer, random: Random, from: number, to: number, count: number): void {
  for (let n = 0; n < count; n++) {
    const at = random.int(from, Math.min(to, bytes.length) - 1);
    if (!FORMAT_AT.includes(at)) bytes[at] = random.int(0, 255);
  }
}

/** Overwrites the beginning of one of the pages, where its structure is. */
function breakPage({ file, pageBytes, pages }: Intact, random: Random, which: (page: Page) => boolean): Damaged {
  const bytes = Buffer.from(file);
  const page = random.pick(pages.filter((each) => each.number > 1 && which(each)));
  scribble(bytes, random, (page.number - 1) * pageBytes, (page.number - 1) * pageBytes + 100, 40);
  return { file: bytes };
}

const isIndex = ({ name }: Page) => /autoindex|started|by_name/.test(name);

/** The kinds of damage. */
const KINDS: Record<string, (intact: Intact, random: Random) => Damaged> = {
  truncated: ({ file }, random) => ({ file: file.subarray(0, random.int(1, file.length - 1)) }),
  'single bytes': ({ file }, random) => {
    const bytes = Buffer.from(file);
    scribble(bytes, random, 0, bytes.length, random.int(1, 6));
    return { file: bytes };
  },
  header: ({ file }, random) => {
    const bytes = Buffer.from(file);
    scribble(bytes, random, 0, 100, random.int(1, 60));
    return { file: bytes };
  },
  'list of tables': ({ file, pageBytes }, random) => {
    const bytes = Buffer.from(file);
    scribble(bytes, random, 100, pageBytes, random.int(1, 60));
    return { file: bytes };
  },
  'root page': (intact, random) => breakPage(intact, random, (page) => page.path === '/' && !isIndex(page)),
  'interior page': (intact, random) => breakPage(intact, random, ({ type }) => type === 'internal'),
  'leaf page': (intact, random) => breakPage(intact, random, (page) => page.type === 'leaf' && !isIndex(page)),
  'index page': (intact, random) => breakPage(intact, random, isIndex),
  'own tables': (intact, random) => breakPage(intact, random, ({ name }) => name.startsWith('tidemark_')),
  freelist: ({ file, pageBytes }, random) => {
    const bytes = Buffer.from(file);
    const first = bytes.readUInt32BE(32);
    expect(first).toBeGreaterThan(1);
    scribble(bytes, random, (first - 1) * pageBytes, (first - 1) * pageBytes + 60, 40);
    return { file: bytes };
  },
  'zeros in place of pages': ({ file, pageBytes }, random) => {
    const bytes = Buffer.from(file);
    const page = random.int(0, bytes.length / pageBytes - 1);
    bytes.fill(0, page * pageBytes, Math.min((page + random.int(1, 4)) * pageBytes, bytes.length));
    return { file: bytes };
  },
  'foreign bytes in place of pages': ({ file }, random) => {
    const bytes = Buffer.from(file);
    const at = random.int(64, bytes.length - 1);
    bytes.fill(0xa5, at, Math.min(at + 5000, bytes.length));
    return { file: bytes };
  },
  'write-ahead log': ({ file, log }, random) => {
    const bytes = Buffer.from(log);
    if (random.chance(0.3)) return { file, log: bytes.subarray(0, random.int(1, bytes.length - 1)) };
    scribble(bytes, random, 0, bytes.length, random.int(1, 2000));
    return { file, log: bytes };
  },
};

/** Makes a replica with free pages, a table and an index of another program, and rows that are only in its log. */
async function intactReplica(): Promise<Intact> {
  await relay.base(ROWS, (n) => `item ${Math.sin(n)}`);
  expect(await command('pull', database())).toMatchObject({ error: null });
  const db = new Database(database());
  db.exec('CREATE TABLE other (a, b); CREATE INDEX by_name ON item (name)');
  const add = db.prepare('INSERT INTO other VALUES (?, ?)');
  for (let n = 0; n < 4000; n++) add.run(n, 'x'.repeat(100));
  db.exec('DELETE FROM other WHERE a > 100');
  db.close();
  await relay.commit('u', [[1, 'in the log']]);
  expect(await command('pull', database())).toMatchObject({ error: null });
  const held = Replica.open(database(), 'shop');
  const reader = new Database(database(), { readonly: true });
  reader.pragma('wal_checkpoint');
  const sql = 'SELECT pageno AS number, name, pagetype AS type, path FROM dbstat';
  const pages = reader.prepare(sql).all() as Page[];
  held.history.recordSample({ at: Date.now(), waiting: 1, lagMs: 1, sourceLagMs: 1 });
  const file = readFileSync(database());
  const log = readFileSync(`${database()}-wal`);
  reader.close();
  held.close();
  expect(log.length).toBeGreaterThan(4096);
  await relay.commit(
    'u',
    Array.from({ length: CHANGED }, (_, i) => [i * 6 + 1, 'changed']),
  );
  return { file, log, pageBytes: file.readUInt16BE(16), pages };
}

const settings = (): AgentSettings => ({
  relayUrl: relay.url,
  feed: 'shop',
  token: new Secret(relay.token('terminal')),
  centralName: '',
  terminalName: '',
  everyMs: null,
  automatic: 'check',
});

interface Ended {
  /** The code of the error with which the command ended. Null: it ended without one. */
  error: string | null;
  said: string;
}

/** Runs a command of the terminal in this process. */
async function command(name: 'pull' | 'verify' | 'status' | 'recopy', file: string): Promise<Ended> {
  const said: string[] = [];
  const call = {
    settings: settings(),
    database: file,
    version: 'test',
    json: false,
    log: () => undefined,
    print: (line: string) => said.push(line),
    show: () => undefined,
    signal: new AbortController().signal,
  };
  const work = {
    pull: () => pull(call),
    verify: () => verify(call, true),
    status: () => status(call),
    recopy: () => recopy(call, true),
  };
  try {
    await work[name]();
    return { error: null, said: said.join('\n') };
  } catch (error) {
    const { code, message } = asTidemarkError(error);
    return { error: code, said: [...said, message].join('\n') };
  }
}

/** Counts the rows of a replica, and checks its pages and indexes. */
function rowsIn(file: string, check = 'integrity_check(1)'): { rows: number; changed: number } {
  const db = new Database(file, { readonly: true });
  try {
    expect(db.pragma(check, { simple: true })).toBe('ok');
    return db.prepare("SELECT count(*) AS rows, sum(name = 'changed') AS changed FROM item").get() as never;
  } finally {
    db.close();
  }
}

describe('a damaged replica', () => {
  test('damaged-anywhere: only db_damaged is reported, never up to date afterwards, and recopy always succeeds', async () => {
    const intact = await intactReplica();
    const kinds = Object.entries(KINDS);
    let found = 0;
    for (const seed of seeds) {
      const [kind, damage] = kinds[seed % kinds.length] ?? expect.fail();
      const { file, log = intact.log } = damage(intact, new Random(seed));
      const here = path.join(folder, `case-${seed}`);
      mkdirSync(here);
      const copy = path.join(here, 'branch.sqlite');
      writeFileSync(copy, file);
      writeFileSync(`${copy}-wal`, log);
      copyFileSync(`${database()}-lock`, `${copy}-lock`);
      const seen: Record<string, string> = {};
      let known = false;
      for (const [n, name] of (['status', 'pull', 'status', 'verify', 'status', 'pull'] as const).entries()) {
        const { error, said } = await command(name, copy);
        seen[`${n} ${name}`] = error ?? 'ok';
        const where = `seed ${seed}, ${kind}: ${JSON.stringify(seen)}: ${said}`;
        if (error !== null) expect(error, where).toBe('db_damaged');
        if (known) expect(error, where).toBe('db_damaged');
        // `status` writes nothing, so it cannot mark the file.
        known ||= error === 'db_damaged' && name !== 'status';
      }
      const { error, said } = await command('recopy', copy);
      const where = `seed ${seed}, ${kind}: ${JSON.stringify(seen)}, recopy: ${error} ${said}`;
      expect(error, where).toBe(null);
      expect(rowsIn(copy), where).toEqual({ rows: ROWS, changed: CHANGED });
      expect((await command('status', copy)).error, where).toBe(null);
      expect(existsSync(`${copy}.snapshot`)).toBe(false);
      if (!known) continue;
      found++;
      expect(readdirSync(here).join(' '), where).toContain('.damaged-');
    }
    // Some damage is harmless: it is in a free page or in the part of the log that is already in the file.
    if (seeds.length > 1) expect(found).toBeGreaterThan(seeds.length / 3);
  });

  test('damage-found-while-open: stays the status through later runs, until a fresh copy replaces the file', async () => {
    const { file, pageBytes, pages } = await intactReplica();
    const leaf = pages.find(({ name, type }) => name === 'item' && type === 'leaf') ?? expect.fail();
    file.fill(0xa5, (leaf.number - 1) * pageBytes, leaf.number * pageBytes);
    writeFileSync(database(), file);
    const agent = createAgent(
      {
        databasePath: database(),
        version: 'test',
        checkAtStart: false,
        watch: false,
        freshCopy: 'ask',
        giveUpAfterMs: null,
        paused: null,
      },
      () => undefined,
    );
    const ended = (mode: Mode) =>
      new Promise<Run>((resolve) => {
        const remove = agent.onRun((run) => {
          remove();
          resolve(run);
        });
        agent.run(mode, 'manual');
      });
    const shown = () => deriveStatus(agent.facts(), Date.now());
    agent.start(settings());
    try {
      expect(await ended('verify')).toMatchObject({ outcome: 'failed', fault: { code: 'db_damaged' } });
      expect(await ended('check')).toMatchObject({ outcome: 'nothing-new' });
      expect(shown()).toMatchObject({ code: 'db-damaged', primary: { id: 'recopy' } });
      expect(await ended('recopy')).toMatchObject({ outcome: 'done' });
      expect(shown().code).not.toBe('db-damaged');
    } finally {
      await agent.stop();
    }
    expect(rowsIn(database())).toEqual({ rows: ROWS, changed: CHANGED });
  });

  test('verify: reports damaged pages as damage, not as rows that differ, and repairs nothing', async () => {
    const { file, pageBytes, pages } = await intactReplica();
    const leaves = pages.filter(({ name, type }) => name === 'item' && type === 'leaf');
    // Cells that point to other cells: rows are missing and others appear twice, and each can still be read.
    for (const { number } of leaves)
      file.copyWithin((number - 1) * pageBytes + 8, (number - 1) * pageBytes + 10, (number - 1) * pageBytes + 40);
    writeFileSync(database(), file);
    const { error, said } = await command('verify', database());
    expect(error).toBe('db_damaged');
    expect(said).not.toContain('Repaired');
  });

  test('another-collation: a table whose index needs a function of another program does not count as damage', async () => {
    await intactReplica();
    const db = new Database(database());
    db.exec('CREATE TABLE notes (a CHECK (a > 0)); CREATE INDEX notes_by_a ON notes (a)');
    db.exec('PRAGMA ignore_check_constraints = ON; INSERT INTO notes VALUES (-1)');
    db.unsafeMode();
    db.pragma('writable_schema = ON');
    db.exec(
      "UPDATE sqlite_schema SET sql = 'CREATE INDEX notes_by_a ON notes (a COLLATE icu_de)' WHERE name = 'notes_by_a'",
    );
    db.close();
    expect(await command('verify', database())).toMatchObject({ error: null });
    expect(await command('recopy', database())).toMatchObject({ error: null });
    expect(rowsIn(database(), 'quick_check(item)')).toEqual({ rows: ROWS, changed: CHANGED });
    expect(readdirSync(folder).join(' ')).not.toContain('.damaged-');
  });
});

/** Another file replaces a replica. */
describe('a foreign file in place of the replica', () => {
  test('a file that is not a database: db_damaged, and recopy keeps it under another name', async () => {
    await intactReplica();
    const text = 'this is a text, and longer than the header of a database '.repeat(20);
    writeFileSync(database(), text);
    for (const name of ['status', 'pull', 'verify'] as const)
      expect(await command(name, database())).toMatchObject({ error: 'db_damaged' });
    expect(await command('recopy', database())).toMatchObject({ error: null });
    expect(rowsIn(database())).toEqual({ rows: ROWS, changed: CHANGED });
    const kept = readdirSync(folder).find((name) => /\.damaged-[^-]*-[^-]*-[^-]*$/.test(name)) ?? expect.fail();
    expect(readFileSync(path.join(folder, kept), 'utf8')).toBe(text);
  });

  test('a file that never was a replica: recopy leaves it unchanged', async () => {
    await relay.base(3);
    const text = path.join(folder, 'letter.txt');
    writeFileSync(text, 'this is a text, and longer than the header of a database '.repeat(20));
    for (const name of ['recopy', 'pull', 'recopy'] as const)
      expect(await command(name, text)).toMatchObject({ error: 'db_not_sqlite' });
    expect(readdirSync(folder).filter((name) => name.startsWith('letter'))).toEqual(['letter.txt']);
  });

  test("another program's database: the data is added to it, unless its text is not UTF-8", async () => {
    await intactReplica();
    for (const name of readdirSync(folder).filter((each) => each.startsWith('branch.sqlite')))
      rmSync(path.join(folder, name));
    const other = new Database(database());
    other.exec("CREATE TABLE other (a); INSERT INTO other VALUES ('kept')");
    other.close();
    expect(await command('recopy', database())).toMatchObject({ error: null });
    expect(rowsIn(database())).toEqual({ rows: ROWS, changed: CHANGED });

    const wide = path.join(folder, 'wide.sqlite');
    const utf16 = new Database(wide);
    utf16.pragma("encoding = 'UTF-16le'");
    utf16.exec('CREATE TABLE other (a)');
    utf16.close();
    const before = readFileSync(wide);
    for (const name of ['pull', 'recopy'] as const)
      expect(await command(name, wide)).toMatchObject({
        error: 'db_unavailable',
        said: expect.stringContaining('UTF-8'),
      });
    expect(readFileSync(wide).subarray(100)).toEqual(before.subarray(100));
  });

  test('the replica of another data set: db_other_feed, and recopy does not replace it', async () => {
    await intactReplica();
    const db = new Database(database());
    db.exec("UPDATE tidemark_meta SET feed = 'another'");
    db.close();
    for (const name of ['pull', 'recopy'] as const)
      expect(await command(name, database())).toMatchObject({ error: 'db_other_feed' });
    expect(rowsIn(database()).rows).toBe(ROWS);
  });
});
