import path from 'node:path';
import type { Mode } from '@tidemark/protocol/run';
import { SmallDisk } from '@tidemark/testing/small-disk';
import { TestRelay } from '@tidemark/testing/test-relay';
import { afterEach, beforeEach, expect, test } from 'vitest';

/**
 * The disk has a given number of bytes free when a run starts. It fills up while the run opens the file, receives, decodes
 * or installs a copy, applies pages, keeps the parts of a large transaction, moves the log into the file, or repairs.
 * These tests need Linux.
 */

/** A transaction that changes all rows has more than one page, so that the spool keeps its first part. */
const ROWS = 12_000;
/** Free space when the command starts, kB. */
const FREE = [0, 32, 100, 180, 300, 900, 1600, 3000, 6000, 12_000, 32_000];

let relay: TestRelay;
let disk: SmallDisk;
let db: string;

beforeEach(async () => {
  relay = await TestRelay.start();
  disk = await SmallDisk.start(80);
  db = path.join(disk.folder, 'branch.sqlite');
});
afterEach(async () => {
  await disk.stop();
  await relay.stop();
});

/** Text that does not compress. */
const noise = (n: number, version: number) =>
  `v${version} ${Array.from({ length: 12 }, (_, i) =>
    Math.abs(Math.sin(n * 31 + i + version))
      .toString(36)
      .slice(2),
  ).join('')}`;

/** Gives all rows the same version in one transaction. */
const commitVersion = (version: number) =>
  relay.commit(
    'u',
    Array.from({ length: ROWS }, (_, i) => [i + 1, noise(i + 1, version)]),
  );

/** Performs one run that gives up at its first failure, in a process that sees the disk. Returns its outcome and code. */
async function perform(mode: Mode): Promise<{ code: number; said: string }> {
  const options = JSON.stringify({ relayUrl: relay.url, token: relay.token('terminal'), database: db, mode });
  const program = `import { agentRun } from '@tidemark/testing/agent-run';
    const ended = await new Promise((resolve) => {
      agentRun({ ...${options}, each: (agent) => agent.facts().replica.fault && resolve(agent.facts().replica.fault.code) }).then((run) => resolve(run.fault?.code ?? 'done'));
    });
    console.log(ended);
    process.exit(ended === 'done' ? 0 : 1);`;
  return disk.run(`'${process.execPath}' --input-type=module -e ${quoted(program)}`);
}

const quoted = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;

/** Runs JavaScript in which `db` is the replica. */
async function ask(code: string): Promise<string> {
  const program = `const db=new(require('better-sqlite3'))('${db}');${code};db.close()`;
  const { said } = await disk.run(`'${process.execPath}' -e "${program}"`);
  return said.trim();
}

/** Returns the versions that the rows have, with their number, and the result of a check of all pages. */
const state = () =>
  ask(
    `console.log(db.prepare('SELECT group_concat(DISTINCT substr(name,1,2)) FROM item').pluck().get(),db.prepare('SELECT count(*) FROM item').pluck().get(),db.pragma('integrity_check',{simple:true}))`,
  );

/** Writes a file that leaves this much space. */
const fillUpTo = (freeKb: number) =>
  disk.run(
    `free=$(df -k --output=avail ${disk.folder} | tail -1); dd if=/dev/zero of=${disk.folder}/filler bs=1k count=$((free - ${freeKb})) 2>/dev/null`,
  );
const freeSpace = () => disk.run(`rm -f ${disk.folder}/filler`);
const leftovers = async () => (await disk.run(`ls ${disk.folder}`)).said.match(/\S*\.(snapshot|download)\S*/g) ?? [];

/** Keeps a copy of the replica, with which each case begins. */
const keep = () => disk.run(`cp ${db} ${disk.folder}/kept`);
const restore = () => disk.run(`rm -f ${db} ${db}-wal ${db}-shm ${db}.*; cp ${disk.folder}/kept ${db}`);

interface Case {
  name: string;
  /** Prepares the relay and the replica, before the copy. */
  prepare(): Promise<unknown>;
  run(): Promise<{ code: number; said: string }>;
  /** The states in which the command may leave the replica. */
  states: string[];
}

const CASES: Case[] = [
  {
    name: 'a transaction of several pages',
    prepare: () => commitVersion(2),
    run: () => perform('now'),
    states: ['v1', 'v2'],
  },
  {
    name: 'several transactions',
    prepare: async () => {
      await commitVersion(2);
      await commitVersion(3);
      await commitVersion(4);
    },
    run: () => perform('now'),
    states: ['v1', 'v2', 'v3', 'v4'],
  },
  {
    name: 'a comparison with a repair',
    prepare: () => ask(`db.exec(\`UPDATE item SET name = 'v0 ' || name WHERE id % 40 = 0\`)`),
    run: () => perform('verify'),
    states: ['v1,v0', 'v1'],
  },
  {
    name: 'a fresh copy',
    prepare: () => commitVersion(2),
    run: () => perform('recopy'),
    states: ['v1', 'v2'],
  },
];

test.each(CASES)('disk-full during $name: the replica stays as committed, and the next run completes', async (each) => {
  await relay.base(ROWS, (n) => noise(n, 1));
  expect(await perform('now')).toMatchObject({ code: 0 });
  await each.prepare();
  await keep();
  const codes = new Set<number>();
  for (const free of FREE) {
    await fillUpTo(free);
    const ended = await each.run();
    const where = `${free} kB free: ${ended.said}`;
    codes.add(ended.code);
    if (ended.code !== 0) expect(ended.said, where).toContain('disk_full');
    await freeSpace();
    const [versions = '', rows, check] = (await state()).split(' ');
    expect(each.states, where).toContain(versions);
    expect([rows, check], where).toEqual([String(ROWS), 'ok']);

    const next = await each.run();
    expect(next.code, `${where}, then ${next.said}`).toBe(0);
    expect((await state()).split(' ')[0]).toBe(each.states.at(-1));
    expect(await leftovers()).toEqual([]);
    await restore();
  }
  // The limits of the sweep reach from no space at all to enough.
  expect([...codes].sort()).toEqual([0, 1]);
});

test('disk-full during a first copy: nothing half is left, and the next run completes', async () => {
  await relay.base(ROWS, (n) => noise(n, 1));
  const codes = new Set<number>();
  for (const free of [0, 100, 1000, 16_000, 19_000, 21_000, 24_000, 32_000]) {
    await fillUpTo(free);
    const ended = await perform('now');
    const where = `${free} kB free: ${ended.said}`;
    codes.add(ended.code);
    if (ended.code !== 0) expect(ended.said, where).toContain('disk_full');
    await freeSpace();
    expect(await leftovers(), where).toEqual([]);
    expect((await perform('now')).code, where).toBe(0);
    expect(await state()).toBe(`v1 ${ROWS} ok`);
    await disk.run(`rm -f ${db}*`);
  }
  expect([...codes].sort()).toEqual([0, 1]);
});
