import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { problems } from '@tidemark/calls/problems';
import { FeedName } from '@tidemark/protocol/api';
import { PauseJson } from '@tidemark/status/facts';
import { z } from 'zod';
import { Settings } from '../../contract/contract.ts';

/** A key as it is kept: encrypted by the operating system (base64), or plain where there is no key store. */
export const SealedToken = z.object({ store: z.enum(['os', 'file']), value: z.string().min(1) });
export type SealedToken = z.infer<typeof SealedToken>;

const FIELDS = {
  relayUrl: Settings.shape.relayUrl,
  feed: z.union([z.literal(''), FeedName]),
  centralName: Settings.shape.centralName.trim(),
  branchName: Settings.shape.branchName.trim(),
  everyMinutes: Settings.shape.everyMinutes,
  automatic: Settings.shape.automatic,
  theme: Settings.shape.theme,
  token: SealedToken.nullable(),
  /** A pause outlives the app. */
  paused: PauseJson.nullable(),
};

/** Settings as they stand in their file. */
export const StoredSettings = z.object(FIELDS);
export type StoredSettings = z.infer<typeof StoredSettings>;

export const DEFAULT_SETTINGS: StoredSettings = {
  relayUrl: '',
  feed: '',
  centralName: '',
  branchName: '',
  everyMinutes: 0,
  automatic: 'sync',
  theme: 'system',
  token: null,
  paused: null,
};

/**
 * Reads settings. A file that is not there is the defaults. Fields that are not valid take their defaults and are named
 * in `problem`; the file itself stays as it is until settings are next saved, and is then kept beside as `.invalid`.
 */
export async function readSettings(file: string): Promise<{ stored: StoredSettings; problem: string | null }> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { stored: DEFAULT_SETTINGS, problem: null };
    return { stored: DEFAULT_SETTINGS, problem: `${file} cannot be read: ${(error as Error).message}` };
  }
  let found: unknown;
  try {
    found = JSON.parse(text);
  } catch {
    return { stored: DEFAULT_SETTINGS, problem: `${file} is not JSON` };
  }
  const whole = StoredSettings.safeParse(found);
  if (whole.success) return { stored: whole.data, problem: null };
  const fields = z.record(z.string(), z.unknown()).safeParse(found).data ?? {};
  const valid = Object.entries(FIELDS).flatMap(([name, schema]) => {
    const value = schema.safeParse(fields[name]);
    return value.success ? [[name, value.data]] : [];
  });
  return {
    stored: { ...DEFAULT_SETTINGS, ...(Object.fromEntries(valid) as Partial<StoredSettings>) },
    problem: `${file}: ${problems(whole.error)}`,
  };
}

/** Puts settings in place of the old ones, in one step: whoever reads sees the old or the new. Throws what the file system throws. */
export async function writeSettings(file: string, stored: StoredSettings): Promise<void> {
  await mkdir(path.dirname(file), { recursive: true });
  const fresh = `${file}.new`;
  const handle = await open(fresh, 'w', 0o600);
  try {
    await handle.writeFile(`${JSON.stringify({ ...stored, paused: FIELDS.paused.encode(stored.paused) }, null, 2)}\n`);
    await handle.sync();
  } catch (error) {
    await handle.close();
    await rm(fresh, { force: true });
    throw error;
  }
  await handle.close();
  await rename(fresh, file);
}

/** Keeps a settings file that could not be read whole, beside the one that takes its place. */
export async function keepInvalid(file: string): Promise<void> {
  await rename(file, `${file}.invalid`);
}
