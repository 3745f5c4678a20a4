import { type ChildProcess, spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import { COMMANDS } from './commands.ts';
import { endWithThisProcess } from './reaper.ts';
import { temporaryFolder } from './temporary-folder.ts';

/** A file system of a few megabytes, and a shell that sees it. Commands in the shell can fill it without filling this disk. Linux only. */
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
    // A mount namespace of its own: the disk goes with its last process.
    const root = process.getuid?.() === 0;
    const shell = spawn('unshare', [root ? '-m' : '-rm', 'sh'], { stdio: 'pipe' });
    endWithThisProcess(shell);
    const disk = new SmallDisk(folder, shell);
    const { code, said } = await disk.run(`mount -t tmpfs -o size=${megabytes}m tmpfs ${folder}`);
    if (code !== 0) throw new Error(`this machine permits no small disk: ${said}`);
    return disk;
  }

  /** Gives the disk another size. */
  async resize(megabytes: number): Promise<void> {
    const { code, said } = await this.run(`mount -o remount,size=${megabytes}m ${this.folder}`);
    if (code !== 0) throw new Error(said);
  }

  /** Runs a line of shell to its end. */
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

  /** One of our commands, there. */
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
