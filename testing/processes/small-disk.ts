import { type ChildProcess, spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import { COMMANDS } from './commands.ts';
import { endWithThisProcess } from './reaper.ts';
import { temporaryFolder } from './temporary-folder.ts';

/**
 * A file system of a few megabytes, and a shell in which it is mounted. Commands in that shell can fill it without
 * filling the machine's disk. Linux only.
 */
export class SmallDisk {
  readonly folder: string;
  readonly #shell: ChildProcess;
  #said = '';
  #wake: () => void = () => undefined;

  private constructor(folder: string, shell: ChildProcess) {
    this.folder = folder;
    this.#shell = shell;
    for (const stream of [shell.stdout, shell.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#said += text;
        this.#wake();
      });
  }

  static async start(megabytes: number): Promise<SmallDisk> {
    const folder = temporaryFolder('disk');
    // The file system exists only in this mount namespace, so it disappears with the last process there.
    const root = process.getuid?.() === 0;
    const shell = spawn('unshare', [root ? '-m' : '-rm', 'sh'], { stdio: 'pipe' });
    endWithThisProcess(shell);
    const disk = new SmallDisk(folder, shell);
    const { code, said } = await disk.run(`mount -t tmpfs -o size=${megabytes}m tmpfs ${folder}`);
    if (code !== 0) throw new Error(`this machine permits no small disk: ${said}`);
    return disk;
  }

  /** Changes the size of the disk. */
  async resize(megabytes: number): Promise<void> {
    const { code, said } = await this.run(`mount -o remount,size=${megabytes}m ${this.folder}`);
    if (code !== 0) throw new Error(said);
  }

  /** Runs a shell command and waits until it has ended. */
  async run(line: string): Promise<{ code: number; said: string }> {
    this.#said = '';
    this.#shell.stdin?.write(`${line}\necho "ended:$?"\n`);
    for (;;) {
      const ended = /^ended:(\d+)$/m.exec(this.#said);
      if (ended) return { code: Number(ended[1]), said: this.#said.slice(0, ended.index) };
      if (this.#shell.exitCode !== null) throw new Error(`the shell ended: ${this.#said}`);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        this.#shell.once('exit', () => resolve());
      });
    }
  }

  /** Starts a Tidemark command in the shell that sees the disk. */
  command(command: keyof typeof COMMANDS, args: string[]): Promise<{ code: number; said: string }> {
    const words = [process.execPath, '--disable-warning=ExperimentalWarning', COMMANDS[command], ...args];
    return this.run(words.map((word) => `'${word}'`).join(' '));
  }

  async stop(): Promise<void> {
    const gone = new Promise((resolve) => this.#shell.once('exit', resolve));
    this.#shell.stdin?.end('exit\n');
    await gone;
    rmSync(this.folder, { recursive: true, force: true });
  }
}
