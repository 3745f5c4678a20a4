import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { problems } from '@tidemark/calls/problems';
import { TidemarkError } from '@tidemark/protocol/errors';
import { isKeyOf, serverOf } from '@tidemark/protocol/relay-address';
import type { AgentConfig } from '@tidemark/terminal/agent/contract';
import type { Settings, SettingsChange, SettingsFault } from '../../contract/settings.ts';
import { readPreset } from './preset.ts';
import { readSettings, StoredSettings, setAside, writeSettings } from './settings-file.ts';
import type { TokenStore } from './token-store.ts';

/** Name of the folder for replicas, inside the app's folder. */
const REPLICAS = 'replicas';

interface SettingsDeps {
  /** The app's folder. */
  folder: string;
  tokens: TokenStore;
}

/**
 * Holds the app's settings and the relay's key, and passes the key only to the agent. Order at start: read the file,
 * decrypt the key, apply the preset. {@link faults} lists the unusable parts. The service must never treat an unusable
 * file as "not set up", and must never overwrite it without preserving it. It must never combine a key with the address
 * of a server for which neither the key was entered nor a person confirmed it.
 */
export class SettingsService {
  readonly #deps: SettingsDeps;
  #stored: StoredSettings;
  #token: string | null;
  /** Whether the settings file is unusable and has not been replaced yet. */
  #fileUnusable: boolean;
  #faults: SettingsFault[];
  #queue: Promise<unknown> = Promise.resolve();
  readonly #listeners: (() => void)[] = [];

  private constructor(deps: SettingsDeps, stored: StoredSettings, token: string | null, faults: SettingsFault[]) {
    this.#deps = deps;
    this.#stored = stored;
    this.#token = token;
    this.#faults = faults;
    this.#fileUnusable = faults.some(({ kind }) => kind === 'file-damaged' || kind === 'fields-invalid');
  }

  /** Reads the settings in `deps.folder`. */
  static async open(deps: SettingsDeps): Promise<SettingsService> {
    await mkdir(path.join(deps.folder, REPLICAS), { recursive: true });
    const file = fileIn(deps);
    const { stored, fault } = await readSettings(file);
    const faults = fault === null ? [] : [fault];
    let token: string | null = null;
    try {
      token = stored.token && (await deps.tokens.open(stored.token));
    } catch (error) {
      faults.push({ kind: 'key-lost', file, reason: (error as Error).message });
    }
    const { relayUrl } = stored;
    const keyServer = keyServerOf(stored);
    if (token !== null && relayUrl !== '' && !isKeyOf(keyServer, relayUrl)) {
      token = null;
      faults.push({ kind: 'key-elsewhere', file, reason: `the key was stored for ${keyServer}, not for ${relayUrl}` });
    }
    return new SettingsService(deps, stored, token, faults);
  }

  /** Faults in the settings found at start. Each remains until a person saves new values. */
  get faults(): readonly SettingsFault[] {
    return this.#faults;
  }

  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  get(): Settings {
    const { token, paused, ...stored } = this.#stored;
    return {
      ...stored,
      keyServer: keyServerOf(this.#stored),
      hasToken: this.#token !== null,
      tokenStore: token?.store ?? 'none',
      databasePath: this.databasePath(),
    };
  }

  /**
   * Returns the path of the replica, or '' without a feed. Each feed has its own file, so that changing the feed loses
   * no data.
   */
  databasePath(): string {
    const { feed } = this.#stored;
    return feed === '' ? '' : path.join(this.#deps.folder, REPLICAS, `${feed}.sqlite`);
  }

  /** Returns the agent's config, or null while a required setting is missing. */
  agentConfig(): Omit<AgentConfig, 'version'> | null {
    const { token, theme, ...stored } = this.#stored;
    if (stored.relayUrl === '' || stored.feed === '' || this.#token === null) return null;
    return { ...stored, keyServer: keyServerOf(this.#stored), token: this.#token, databasePath: this.databasePath() };
  }

  /**
   * Returns the stored key for a connection test. Throws settings_invalid if the key was stored for another server,
   * because a test must not send the key to a server that was only typed. Throws not_configured if there is no key.
   */
  tokenFor(relayUrl: string): string {
    if (this.#token === null) throw new TidemarkError('not_configured');
    const server = keyServerOf(this.#stored);
    if (!isKeyOf(server, relayUrl))
      throw new TidemarkError('settings_invalid', {
        detail: `enter the access key too: the stored key belongs to the server at ${server || 'another address'}, and a test does not send it elsewhere`,
      });
    return this.#token;
  }

  /** Stores a pause for the next start. Does not notify listeners, because the agent itself reported the pause. */
  keepPaused(paused: AgentConfig['paused']): Promise<void> {
    if (JSON.stringify(paused) === JSON.stringify(this.#stored.paused)) return Promise.resolve();
    return this.#enqueue(() => this.#store({ ...this.#stored, paused }));
  }

  /**
   * Saves a change. Throws `settings_invalid`, which names every invalid field, and then changes nothing. A change to
   * another server needs a new key, or `sendKeyTo` with this server.
   */
  change(change: SettingsChange): Promise<Settings> {
    return this.#enqueue(() => this.#apply(change));
  }

  /** Runs changes one after another, so that none overwrites another. */
  #enqueue<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#queue.then(work);
    this.#queue = done.catch(() => {});
    return done;
  }

  async #apply({ token, sendKeyTo, ...fields }: SettingsChange): Promise<Settings> {
    const next = StoredSettings.omit({ paused: true }).safeParse({ ...this.#stored, ...fields });
    if (!next.success) throw new TidemarkError('settings_invalid', { detail: problems(next.error) });
    const keyServer = this.#newKeyServer(next.data.relayUrl, token !== undefined, sendKeyTo);
    const stored = {
      ...next.data,
      keyServer,
      paused: this.#stored.paused,
      token: token === undefined ? this.#stored.token : await this.#deps.tokens.seal(token),
    };
    await this.#store(stored);
    if (token !== undefined) this.#token = token;
    this.#faults = this.#faults.filter((fault) => !this.#isResolved(fault, token !== undefined));
    for (const listener of this.#listeners) listener();
    return this.get();
  }

  /** Returns the server that may receive the key after a change. Throws settings_invalid if nothing allows it. */
  #newKeyServer(relayUrl: string, newToken: boolean, sendKeyTo: string | undefined): string {
    const server = serverOf(relayUrl);
    const keyServer = keyServerOf(this.#stored);
    if (newToken || (server !== '' && (sendKeyTo === server || isKeyOf(keyServer, relayUrl)))) return server;
    const moves = relayUrl !== this.#stored.relayUrl;
    if (!moves || server === '' || this.#stored.token === null) return keyServer;
    throw new TidemarkError('settings_invalid', {
      detail: `relayUrl: the stored key belongs to the server at ${keyServer || 'another address'}. Enter the key for ${server}, or confirm with sendKeyTo that the stored key may be sent there`,
    });
  }

  /**
   * Reports whether a change resolves a fault: only a new key resolves a lost one; connecting the PC again resolves
   * every other fault.
   */
  #isResolved({ kind }: SettingsFault, newToken: boolean): boolean {
    return kind === 'key-lost' || kind === 'key-elsewhere' ? newToken : this.agentConfig() !== null;
  }

  async #store(stored: StoredSettings): Promise<void> {
    const file = fileIn(this.#deps);
    try {
      if (this.#fileUnusable) await setAside(file);
      this.#fileUnusable = false;
      await writeSettings(file, stored);
    } catch (error) {
      throw new TidemarkError('settings_invalid', { detail: `${file} cannot be written` }, error);
    }
    this.#stored = stored;
  }

  /** Applies the settings of a preset file if this PC has no settings and has lost none. */
  async applyPreset(file: string): Promise<void> {
    if (this.#stored.relayUrl !== '' || this.#stored.feed !== '' || this.#faults.length > 0) return;
    try {
      await this.change(await readPreset(file));
    } catch (error) {
      this.#faults.push({ kind: 'preset-refused', file, reason: (error as Error).message });
    }
  }
}

/** Returns the server for which the key was stored. '' if there is none. */
const keyServerOf = ({ keyServer, relayUrl }: StoredSettings) => keyServer ?? serverOf(relayUrl);

const fileIn = ({ folder }: SettingsDeps) => path.join(folder, 'settings.json');
