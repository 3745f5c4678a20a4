import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { type ElectronApplication, _electron as electron, expect, type Locator, type Page } from '@playwright/test';
import { APP, sandboxArgs } from '../../scripts/app.ts';
import { type ElectronRuntime, electronEnv } from '../../scripts/electron-runtime/runtime.ts';

export interface Preset {
  relayUrl: string;
  feed: string;
  tokenFile: string;
  theme?: 'light' | 'dark';
  everyMinutes?: number;
}

/** Runs the built app in a real Electron with its own data folder. Also the page object for its window. */
export class App {
  readonly folder: string;
  readonly page: Page;
  readonly #app: ElectronApplication;

  private constructor(folder: string, app: ElectronApplication, page: Page) {
    this.folder = folder;
    this.#app = app;
    this.page = page;
  }

  /** Starts the app. Without a preset, the app is in the state that a person sees after installation. */
  static async launch(runtime: ElectronRuntime, preset: Preset | null, folder?: string): Promise<App> {
    const home = folder ?? (await mkdtemp(path.join(os.tmpdir(), 'tidemark-app-')));
    mkdirSync(home, { recursive: true });
    const presetFile = path.join(home, 'preset.json');
    if (preset) {
      const named = { centralName: 'Central database', branchName: 'Branch 7', ...preset };
      writeFileSync(presetFile, JSON.stringify(named));
    }
    const app = await electron.launch({
      executablePath: runtime.electronPath,
      args: [APP, `--user-data-dir=${home}`, ...sandboxArgs()],
      env: {
        ...(process.env as Record<string, string>),
        ...electronEnv(runtime),
        ...(preset ? { TIDEMARK_PRESET: presetFile } : {}),
      },
    });
    const page = await app.firstWindow();
    return new App(home, app, page);
  }

  get electron(): ElectronApplication {
    return this.#app;
  }

  get headline(): Locator {
    return this.page.getByTestId('headline');
  }

  get detail(): Locator {
    return this.page.getByTestId('detail');
  }

  get primary(): Locator {
    return this.page.getByTestId('primary');
  }

  /** Presses a button of the open dialog, because the page behind it may have a button with the same name. */
  async confirm(button: string | RegExp): Promise<void> {
    await this.page.getByRole('dialog').getByRole('button', { name: button }).click();
  }

  tile(name: string): Locator {
    return this.page.getByTestId(`tile-${name}`);
  }

  /** Returns the status card, which matches only while it shows this code. */
  card(code: string): Locator {
    return this.page.locator(`[data-testid=status-card][data-code="${code}"]`);
  }

  /** Runs the first sync and waits for its end. */
  async firstSync(): Promise<void> {
    await expect(this.card('never-synced')).toBeVisible();
    await this.primary.click();
    await expect(this.card('up-to-date')).toBeVisible();
  }

  replica(feed = 'shop'): string {
    return path.join(this.folder, 'replicas', `${feed}.sqlite`);
  }

  /** Returns the process id of the agent, or undefined while no agent runs. */
  async agentPid(): Promise<number | undefined> {
    return this.#app.evaluate(
      ({ app }) => app.getAppMetrics().find((each) => each.type === 'Utility' && each.name?.includes('Tidemark'))?.pid,
    );
  }

  /** Sets the clocks of the main process and the page `ms` ahead. The page's clock then stops. */
  async advanceClock(ms: number): Promise<void> {
    await this.#app.evaluate((_, ahead) => {
      Date.now = () => Math.round(performance.timeOrigin + performance.now()) + ahead;
    }, ms);
    await this.page.clock.setFixedTime(Date.now() + ms);
  }

  async resetClock(): Promise<void> {
    await this.advanceClock(0);
    await this.page.clock.setSystemTime(Date.now());
  }

  async resize(width: number, height: number): Promise<void> {
    await this.#app.evaluate(
      ({ BrowserWindow }, size) => BrowserWindow.getAllWindows()[0]?.setContentSize(size.width, size.height),
      { width, height },
    );
  }

  async theme(theme: 'light' | 'dark'): Promise<void> {
    await this.#app.evaluate(({ nativeTheme }, to) => {
      nativeTheme.themeSource = to;
    }, theme);
  }

  /** Quits the app. Removes the data folder unless `keep` is set. */
  async close(keep = false): Promise<void> {
    await this.#app.close();
    if (!keep) rmSync(this.folder, { recursive: true, force: true });
  }
}
