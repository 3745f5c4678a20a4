import { fileURLToPath } from 'node:url';
import { type BuildEnvironmentOptions, defineConfig } from 'vite';

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** Loaded at run time: Electron itself, and the one module with native code. */
const EXTERNAL = ['electron', 'better-sqlite3', /^node:/];

/** One CommonJS file per process: a sandboxed preload cannot load a second file, and the others start faster. */
const bundle = (name: string, entry: string): BuildEnvironmentOptions => ({
  outDir: here('./out'),
  emptyOutDir: false,
  copyPublicDir: name === 'main',
  // Electron 33 (Node 20.18) for tests, Electron 45 for releases.
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

/** Builds the app's processes, except for the window's page (renderer/vite.config.ts). */
export default defineConfig({
  root: here('.'),
  // The main process loads the tray's icons from beside its bundle.
  publicDir: here('./icons'),
  builder: {
    async buildApp(builder) {
      for (const name of ['main', 'preload', 'agent']) {
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
  },
});
