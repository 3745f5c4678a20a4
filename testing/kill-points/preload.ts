import fs from 'node:fs';
import { createRequire, syncBuiltinESMExports } from 'node:module';
import path from 'node:path';
import type BetterSqlite3 from 'better-sqlite3';
import { KILL_POINT, type KillOrder } from './kill-points.ts';

/**
 * Ends the process with SIGKILL at a chosen step. Node loads this module into each thread of the process, before the
 * thread's own module (`--import`).
 *
 * A step is a call that changes files: a call of `fs`, or a statement of SQLite that writes, commits or closes. The kill
 * happens immediately before the step. A write of bytes is first done by half. A step is named after the call and the
 * file, with a number that counts equal steps of one thread. Without a chosen step, the module writes the name of every
 * step to a file.
 *
 * Statements inside SQLite's own commit are not steps, because SQLite guarantees that a commit is atomic.
 */

const order = JSON.parse(process.env[KILL_POINT] ?? '') as KillOrder;
if (path.basename(process.argv[1] ?? '') === order.module) watch();

function watch(): void {
  const { openSync, writeSync } = fs;
  const log = order.at === null ? openSync(order.log, 'a') : null;
  const seen = new Map<string, number>();
  /** Names of open files. */
  const names = new Map<number, string>();

  /** Counts a step and returns whether the process must end at it. */
  const isLast = (call: string, file: string): boolean => {
    const step = `${call} ${generalName(file)}`;
    const n = (seen.get(step) ?? 0) + 1;
    seen.set(step, n);
    if (log !== null) writeSync(log, `${step} #${n}\n`);
    return `${step} #${n}` === order.at;
  };
  const end = (): never => {
    process.kill(process.pid, 'SIGKILL');
    for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  };
  const pass = (call: string, file: string): void => {
    if (isLast(call, file)) end();
  };
  /** A write ends after half of its bytes. */
  const passWrite = (fd: number, bytes: unknown): void => {
    if (!isLast('write', names.get(fd) ?? '')) return;
    if (ArrayBuffer.isView(bytes) || typeof bytes === 'string') {
      const all = Buffer.from(bytes as Buffer);
      writeSync(fd, all.subarray(0, Math.floor(all.length / 2)));
    }
    end();
  };
  const writes = (flags: unknown) => typeof flags === 'string' && flags !== 'r';

  type Untyped = (...args: unknown[]) => unknown;
  const patch = (target: object, name: string, before: (...args: never[]) => void): void => {
    const methods = target as Record<string, Untyped>;
    const original = methods[name] as Untyped;
    methods[name] = function (this: unknown, ...args: unknown[]) {
      before.apply(this, args as never[]);
      return original.apply(this, args);
    };
  };

  for (const call of ['renameSync', 'rmSync', 'unlinkSync', 'truncateSync', 'writeFileSync', 'mkdirSync', 'linkSync'])
    patch(fs, call, (file: string) => pass(call.replace('Sync', ''), String(file)));
  for (const call of ['fsyncSync', 'ftruncateSync'])
    patch(fs, call, (fd: number) => pass(call.replace('Sync', ''), names.get(fd) ?? ''));
  patch(fs, 'writeSync', passWrite);
  patch(fs, 'write', passWrite);
  fs.openSync = ((file: string, flags: string, mode?: number) => {
    if (writes(flags)) pass('open', file);
    const fd = openSync(file, flags, mode);
    names.set(fd, file);
    return fd;
  }) as typeof fs.openSync;
  const openLater = fs.open as Untyped;
  fs.open = ((...args: unknown[]) => {
    const [file, flags] = args;
    const done = args.pop() as (error: unknown, fd: number) => void;
    if (writes(flags)) pass('open', String(file));
    openLater(...args, (error: unknown, fd: number) => {
      if (!error) names.set(fd, String(file));
      done(error, fd);
    });
  }) as typeof fs.open;
  const openHandle = fs.promises.open;
  fs.promises.open = async (file, flags, mode) => {
    if (writes(flags)) pass('open', String(file));
    const handle = await openHandle(file, flags, mode);
    patch(handle, 'write', (bytes: unknown) => {
      names.set(handle.fd, String(file));
      passWrite(handle.fd, bytes);
    });
    patch(handle, 'sync', () => pass('fsync', String(file)));
    return handle;
  };
  syncBuiltinESMExports();

  const sqlite = createRequire(import.meta.url)('better-sqlite3') as typeof BetterSqlite3;
  const memory = new sqlite(':memory:');
  const statement = Object.getPrototypeOf(memory.prepare('SELECT 1')) as object;
  memory.close();
  const words = (sql: string) => sql.trim().split(/\s+/).slice(0, 2).join(' ');
  patch(sqlite.prototype, 'exec', function (this: BetterSqlite3.Database, sql: string) {
    pass(words(sql), this.name);
  });
  patch(sqlite.prototype, 'pragma', function (this: BetterSqlite3.Database, sql: string) {
    if (/^(journal_mode|wal_checkpoint)/.test(sql)) pass(`PRAGMA ${words(sql)}`, this.name);
  });
  patch(sqlite.prototype, 'close', function (this: BetterSqlite3.Database) {
    if (!this.readonly) pass('close', this.name);
  });
  patch(statement, 'run', function (this: BetterSqlite3.Statement) {
    pass(words(this.source), this.database.name);
  });
}

/** Returns a file's name without the parts that differ between runs. */
function generalName(file: string): string {
  return path.basename(file).replaceAll(/[0-9a-f]{8,}|\d+/g, 'n');
}
