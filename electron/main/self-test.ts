import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { AgentProcess } from './agent/agent-process.ts';

/** What a build says of itself on stdout, as one line of JSON. */
export interface SelfTest {
  ok: boolean;
  version: string;
  electron: string;
  node: string;
  chrome: string;
  /** SQLite as the sync engine's process loaded it. */
  sqlite: string | null;
  /** Whether the window's page came up and could ask. */
  window: boolean;
  error: string | null;
}

const LIMIT_MS = 45_000;

/** A folder in the place of the person's own, so that a test touches nothing of theirs. */
export function selfTestFolder(): { folder: string; remove: () => void } {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'tidemark-self-test-'));
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

/** Opens a database in the engine's process and waits for the page's first call: what a build most easily lacks. */
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
    await limited(windowReady, 'the window did not come up');
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
