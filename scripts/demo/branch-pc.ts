import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { endWithThisProcess } from '@tidemark/testing/processes/reaper';
import type { System } from '@tidemark/testing/system';
import { APP, buildApp, sandboxArgs } from '../app.ts';
import { electronEnv, findElectron } from '../electron-runtime/runtime.ts';
import { ensureSystem } from '../setup.ts';

/** The demo's branch PC: the desktop app when there is a display, otherwise the terminal command in this console. */

/** The demo puts branch 7 into region 4. The filters in relay.yaml use these attributes. */
export const PC = { name: 'demo-branch-7', attributes: { branch: '7', region: '4' } } as const;

export interface BranchPc {
  /** Resolves when the person closes the branch PC. Rejects when it ends with an error. */
  ended: Promise<void>;
  stop(): Promise<void>;
}

export type PrintRow = (name: string, value: string) => void;

/** Opens the app as a PC that has not synced yet. */
export async function openApp(system: System, print: PrintRow): Promise<BranchPc> {
  const folder = path.join(system.folder, 'branch-pc');
  mkdirSync(folder);
  const preset = path.join(folder, 'preset.json');
  writeFileSync(
    preset,
    JSON.stringify({
      relayUrl: system.url,
      feed: 'shop',
      tokenFile: system.tokenFile(PC.name),
      centralName: 'Central database',
      branchName: 'Branch 7',
    }),
  );
  ensureSystem({ display: false });
  buildApp();
  const electron = await findElectron((line) => console.log(line));
  const child = spawn(electron.electronPath, [APP, `--user-data-dir=${folder}`, ...sandboxArgs()], {
    env: { ...process.env, ...electronEnv(electron), TIDEMARK_PRESET: preset },
    stdio: 'ignore',
  });
  endWithThisProcess(child);
  const exited = once(child, 'exit');
  print('branch PC', `the Tidemark window (process ${child.pid}); its replica is under ${folder}`);
  console.log('\nClick "Start first sync" in the window. Closing the window ends the demo.');
  return {
    ended: exited.then(([code]) => {
      if (code !== 0) throw new Error(`the app exited with code ${String(code)}`);
    }),
    async stop() {
      child.kill('SIGTERM');
      await exited;
    },
  };
}

/** Follows the relay with the terminal command, which prints to this console. */
export function followInConsole(system: System, print: PrintRow): BranchPc {
  const terminal = system.startWatch(system.database(), PC.name);
  terminal.child.stdout?.pipe(process.stdout);
  terminal.child.stderr?.pipe(process.stderr);
  print('branch PC', `tidemark-terminal watch (process ${terminal.child.pid}); its replica is ${system.database()}`);
  console.log(
    '\nThis machine has no display, so this console follows the branch PC. To see the window, run the demo on a',
  );
  console.log('desktop or under a virtual display: xvfb-run -a npm start. Ctrl+C ends the demo.\n');
  return {
    ended: terminal.ended.then(({ code }) => {
      throw new Error(`the terminal exited with code ${String(code)}`);
    }),
    async stop() {
      await terminal.stop('SIGTERM');
    },
  };
}
