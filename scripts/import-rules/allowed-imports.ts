/**
 * Which package may import which. `npm run import-rules` turns this table into the overrides of biome.json, and a test
 * compares it with the table in docs/architecture.md. A package imports others only by their names, through their
 * `exports`. See docs/decisions/2026-11-25-one-package-per-responsibility.md.
 */

export interface ImportRule {
  /** Packages that the modules of this package may import. Its tests may also import `testing`. */
  imports: readonly string[];
  /** Patterns of modules that this package may import from packages that are otherwise forbidden. */
  modules?: readonly string[];
  /** Modules of allowed packages that this package may not import, each with the reason. Its tests may import them. */
  forbidden?: Readonly<Record<string, string>>;
  /** Whether the package may run in a browser window and therefore must not import Node's modules. */
  browser?: boolean;
  /** Files that follow the rules of tests, in addition to `*.test.ts` and `*.test.tsx`. */
  testFiles?: readonly string[];
}

export const ALLOWED: Readonly<Record<string, ImportRule>> = {
  protocol: { imports: [], browser: true },
  status: { imports: ['protocol'], browser: true },
  calls: { imports: ['protocol'], browser: true },
  'command-line': { imports: ['protocol'] },
  'table-store': { imports: ['protocol'] },
  replica: { imports: ['protocol', 'table-store'] },
  'data-reader': { imports: ['protocol', 'calls', 'table-store'] },
  terminal: { imports: ['protocol', 'status', 'calls', 'command-line', 'table-store', 'replica'] },
  'master-feed': { imports: ['protocol', 'command-line'] },
  'relay-server': { imports: ['protocol', 'calls', 'command-line', 'table-store'] },
  electron: { imports: ['protocol', 'status', 'calls', 'data-reader', 'terminal'] },
  renderer: {
    imports: ['protocol', 'status'],
    modules: ['@tidemark/electron/contract/**'],
    forbidden: {
      '@tidemark/status/derive': 'The window shows the status that the app sends; only the main process derives it.',
    },
    browser: true,
    testFiles: ['renderer/testing.tsx', 'renderer/vite.config.ts'],
  },
};

/** Folders whose code may import every package. Only `testing` among them is a package. */
export const UNRESTRICTED = ['testing', 'e2e', 'bench', 'scripts'] as const;

export const PACKAGES: readonly string[] = [...Object.keys(ALLOWED), 'testing'];

/** Folders whose code may open SQLite databases. Tests may open them everywhere. */
export const OPEN_DATABASES: readonly string[] = ['table-store', 'testing', 'e2e', 'bench'];

/** Electron modules that have one wrapper each, with the wrapper's file. */
export const WRAPPED: Readonly<Record<string, string>> = {
  ipcMain: 'electron/ipc/window-ipc.ts',
  ipcRenderer: 'electron/ipc/preload-ipc.ts',
  shell: 'electron/ipc/open-external.ts',
};

/** Electron runs this file without a build, so it is JavaScript. */
export const UNCHECKED: readonly string[] = ['scripts/electron-runtime/default-app/**'];
