import { mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { problems } from '@tidemark/calls/problems';
import { TidemarkError } from '@tidemark/protocol/errors';
import type { Fault } from '@tidemark/protocol/fault';
import type { AgentConfig } from '@tidemark/terminal/agent/contract';
import { z } from 'zod';
import { type Settings, SettingsChange } from '../../contract/contract.ts';
import { keepInvalid, readSettings, StoredSettings, writeSettings } from './settings-file.ts';
import type { TokenStore } from './token-store.ts';

/** What a preset file may say: settings for a PC that has none yet. `tokenFile` is relative to the file. */
const Preset = SettingsChange.omit({ token: true }).extend({ tokenFile: z.string().optional() }).strict();

/** Folder of the replicas, in the app's own. */
const REPLICAS = 'replicas';

export interface SettingsDeps {
  /** Folder of the app's own files. */
  folder: string;
  tokens: TokenStore;
}

/** The app's settings: the only holder of the relay's key outside the sync engine. */
export class SettingsService {
  readonly #deps: SettingsDeps;
  #stored: StoredSettings;
  #token: string | null;
  /** The file as found was not valid and has not been replaced yet. */
  #invalidFile: boolean;
  /** Why settings could not be used as they were found; null when they could. */
  fault: Fault | null;
  #queue: Promise<unknown> = Promise.resolve();
  readonly #listeners: (() => void)[] = [];

  private constructor(
    deps: SettingsDeps,
    found: { stored: StoredSettings; problem: string | null },
    token: string | null,
    problem: string | null,
  ) {
    this.#deps = deps;
    this.#stored = found.stored;
    this.#token = token;
    this.#invalidFile = found.problem !== null;
    const detail = [found.problem, problem].filter((each) => each !== null).join('; ');
    this.fault = detail === '' ? null : { code: 'settings_invalid', params: { detail } };
  }

  /** Reads the settings of a folder; never fails, but says in `fault` what it could not use. */
  static async open(deps: SettingsDeps): Promise<SettingsService> {
    await mkdir(path.join(deps.folder, REPLICAS), { recursive: true });
    const found = await readSettings(fileOf(deps));
    let token: string | null = null;
    let problem: string | null = null;
    try {
      token = found.stored.token && (await deps.tokens.open(found.stored.token));
    } catch {
      problem = 'the key cannot be read from the key store: enter it again';
    }
    return new SettingsService(deps, found, token, problem);
  }

  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  get(): Settings {
    const { token, paused, ...stored } = this.#stored;
    return {
      ...stored,
      hasToken: this.#token !== null,
      tokenStore: token?.store ?? 'none',
      databasePath: this.databasePath(),
    };
  }

  /** One file for each feed, so that a change of feed loses nothing. */
  databasePath(): string {
    const { feed } = this.#stored;
    return feed === '' ? '' : path.join(this.#deps.folder, REPLICAS, `${feed}.sqlite`);
  }

  /** What the sync engine is told; null while anything that it needs is missing. */
  agentConfig(): Omit<AgentConfig, 'version'> | null {
    const { token, theme, ...stored } = this.#stored;
    if (stored.relayUrl === '' || stored.feed === '' || this.#token === null) return null;
    return { ...stored, token: this.#token, databasePath: this.databasePath() };
  }

  /** The key in use; only for trying a connection with it. */
  get token(): string | null {
    return this.#token;
  }

  /** Keeps a pause for the next start. It is a fact of the engine, so nobody is told. */
  keepPaused(paused: AgentConfig['paused']): Promise<void> {
    if (JSON.stringify(paused) === JSON.stringify(this.#stored.paused)) return Promise.resolve();
    return this.#enqueue(() => this.#store({ ...this.#stored, paused }));
  }

  /** Throws `settings_invalid`, which names every wrong field; then all is as it was. */
  change(change: SettingsChange): Promise<Settings> {
    return this.#enqueue(() => this.#apply(change));
  }

  /** One after the other, so that none undoes another. */
  #enqueue<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#queue.then(work);
    this.#queue = done.catch(() => {});
    return done;
  }

  async #apply({ token, ...fields }: SettingsChange): Promise<Settings> {
    const next = StoredSettings.omit({ paused: true }).safeParse({ ...this.#stored, ...fields });
    if (!next.success) throw new TidemarkError('settings_invalid', { detail: problems(next.error) });
    const stored = {
      ...next.data,
      paused: this.#stored.paused,
      token: token === undefined ? this.#stored.token : await this.#deps.tokens.seal(token),
    };
    await this.#store(stored);
    if (token !== undefined) this.#token = token;
    this.fault = null;
    for (const listener of this.#listeners) listener();
    return this.get();
  }

  async #store(stored: StoredSettings): Promise<void> {
    const file = fileOf(this.#deps);
    try {
      if (this.#invalidFile) await keepInvalid(file);
      this.#invalidFile = false;
      await writeSettings(file, stored);
    } catch (error) {
      throw new TidemarkError('settings_invalid', { detail: `${file} cannot be written` }, error);
    }
    this.#stored = stored;
  }

  /** Takes a preset file when nothing is set yet; what is wrong with it is said in `fault`. */
  async takePreset(file: string): Promise<void> {
    if (this.#stored.relayUrl !== '' || this.#stored.feed !== '' || this.fault !== null) return;
    try {
      const { tokenFile, ...fields } = Preset.parse(JSON.parse(await readFile(file, 'utf8')));
      const token =
        tokenFile === undefined
          ? undefined
          : (await readFile(path.resolve(path.dirname(file), tokenFile), 'utf8')).trim();
      await this.change(SettingsChange.parse({ ...fields, ...(token === undefined ? {} : { token }) }));
    } catch (error) {
      const detail = error instanceof z.ZodError ? problems(error) : (error as Error).message;
      this.fault = { code: 'settings_invalid', params: { detail: `the preset ${file}: ${detail}` } };
    }
  }
}

const fileOf = ({ folder }: SettingsDeps) => path.join(folder, 'settings.json');
