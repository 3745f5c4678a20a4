import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { AgentProcess } from './agent/agent-process.ts';

/**
 * The self-test of a packed build (`--self-test`): it starts the agent and the window in a temporary data folder and
 * prints the result as one line of JSON on stdout.
 */
interface SelfTest {
  ok: boolean;
  version: string;
  electron: string;
  node: string;
  chrome: string;
  /** Version of SQLite that the agent loaded. */
  sqlite: string | null;
  /** Whether the window's page loaded and made its first call. */
  window: boolean;
  error: string | null;
}

const LIMIT_MS = 45_000;

/** Creates a temporary data folder, so that the test leaves the user's folder unchanged. */
export function selfTestFolder(): { folder: string; remove: () => void } {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'tidemark-self-test-'));
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

/**
 * Opens a database in the agent and waits for the page's first call. A faulty build usually fails in one of these
 * steps.
 */
export async function selfTest(
  agent: AgentProcess,
  folder: string,
  windowReady: Promise<void>,
  version: string,
): Promise<SelfTest> {
  const found: SelfTest = {
    ok: false,
    version,
    electron: process.versions.electron,
    node: process.versions.node,
    chrome: process.versions.chrome,
    sqlite: null,
    window: false,
    error: null,
  };
  try {
    const { sqlite } = await agent.call('agent.probe', { file: path.join(folder, 'self-test.sqlite') });
    found.sqlite = sqlite;
    await limited(windowReady, 'the window did not load');
    found.window = true;
    found.ok = true;
  } catch (error) {
    found.error = error instanceof Error ? error.message : String(error);
  }
  return found;
}

async function limited(promise: Promise<void>, otherwise: string): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(otherwise)), LIMIT_MS);
  });
  await Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
