import { fileURLToPath } from 'node:url';
import { type BuildEnvironmentOptions, defineConfig } from 'vite';

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/**
 * Modules that are loaded at run time instead of bundled: Electron, Node's own modules, and the only module with native
 * code.
 */
const EXTERNAL = ['electron', 'better-sqlite3', /^node:/];

/**
 * Bundles one CommonJS file per process. A sandboxed preload script cannot load a second file, and the other processes
 * start faster.
 */
const bundle = (name: string, entry: string): BuildEnvironmentOptions => ({
  outDir: here('./out'),
  emptyOutDir: false,
  copyPublicDir: name === 'main',
  // Tests run on Electron 33 (Node 20.18), releases on Electron 45.
  target: 'node20.18',
  ssr: here(entry),
  sourcemap: true,
  minify: false,
  rollupOptions: {
    external: EXTERNAL,
    output: { format: 'cjs', entryFileNames: `${name}.cjs`, codeSplitting: false },
  },
});

const environment = (name: string, entry: string) => ({
  consumer: 'server' as const,
  resolve: { noExternal: true as const, external: ['electron', 'better-sqlite3'] },
  build: bundle(name, entry),
});

/** Builds the app's processes. renderer/vite.config.ts builds the window's page. */
export default defineConfig({
  root: here('.'),
  // The main process loads the tray's icons from the folder of its bundle.
  publicDir: here('./icons'),
  builder: {
    async buildApp(builder) {
      for (const name of ['main', 'preload', 'agent', 'reader']) {
        const built = builder.environments[name];
        if (!built) throw new Error(`no environment ${name}`);
        await builder.build(built);
      }
    },
  },
  environments: {
    main: environment('main', './main/main.ts'),
    preload: environment('preload', './preload/main.ts'),
    agent: environment('agent', '../terminal/agent/main.ts'),
    reader: environment('reader', '../data-reader/main.ts'),
  },
});
