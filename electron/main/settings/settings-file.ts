import { access, mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { problems } from '@tidemark/calls/problems';
import { FeedName } from '@tidemark/protocol/api';
import { PauseJson } from '@tidemark/status/facts';
import { z } from 'zod';
import { Settings, type SettingsFault } from '../../contract/settings.ts';

/** The settings file: its format, reading it, replacing it, and keeping a damaged one. */

/** A key as stored: encrypted by the operating system (base64), or plain where there is no key store. */
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

/** The content of the settings file. */
export const StoredSettings = z.object(FIELDS);
export type StoredSettings = z.infer<typeof StoredSettings>;

const DEFAULT_SETTINGS: StoredSettings = {
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

/** Settings as read, and why not all of them could be used; null when they could. */
interface FoundSettings {
  stored: StoredSettings;
  fault: SettingsFault | null;
}

/**
 * Reads the settings file. Never fails: without a file it returns the defaults, and fields that are not valid take
 * their defaults. It never writes; {@link setAside} keeps an unusable file before the next write replaces it.
 */
export async function readSettings(file: string): Promise<FoundSettings> {
  const damaged = (reason: string): FoundSettings => ({
    stored: DEFAULT_SETTINGS,
    fault: { kind: 'file-damaged', file, reason },
  });
  let found: unknown;
  try {
    found = JSON.parse(await readFile(file, 'utf8'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { stored: DEFAULT_SETTINGS, fault: null };
    return damaged((error as Error).message);
  }
  const all = StoredSettings.safeParse(found);
  if (all.success) return { stored: all.data, fault: null };
  const fields = z.record(z.string(), z.unknown()).safeParse(found);
  if (!fields.success) return damaged('the file does not hold a JSON object');
  const valid = Object.entries(FIELDS).flatMap(([name, schema]) => {
    const value = schema.safeParse(fields.data[name]);
    return value.success ? [[name, value.data]] : [];
  });
  return {
    stored: { ...DEFAULT_SETTINGS, ...(Object.fromEntries(valid) as Partial<StoredSettings>) },
    fault: { kind: 'fields-invalid', file, reason: problems(all.error) },
  };
}

/**
 * Replaces the settings file in one step: even after a power failure, a reader sees the old file or the new one. Throws
 * the file system's errors; the old file is then still there. Why no library does this: docs/dependencies.md.
 */
export async function writeSettings(file: string, stored: StoredSettings): Promise<void> {
  await mkdir(path.dirname(file), { recursive: true });
  const temporary = `${file}.new`;
  const handle = await open(temporary, 'w', 0o600);
  try {
    await handle.writeFile(`${JSON.stringify({ ...stored, paused: FIELDS.paused.encode(stored.paused) }, null, 2)}\n`);
    // Before the rename: otherwise a power failure can leave the new name with no content.
    await handle.sync();
  } catch (error) {
    await handle.close();
    await rm(temporary, { force: true });
    throw error;
  }
  await handle.close();
  await rename(temporary, file);
}

/**
 * Moves an unusable settings file out of the way, to `settings.json.invalid` or, where that exists, to the same name
 * with a number. Earlier ones are kept. Returns the new path; null when the file is gone already.
 */
export async function setAside(file: string): Promise<string | null> {
  for (let number = 1; ; number++) {
    const aside = number === 1 ? `${file}.invalid` : `${file}.invalid-${number}`;
    if (await exists(aside)) continue;
    try {
      await rename(file, aside);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
      throw error;
    }
    return aside;
  }
}

const exists = (file: string): Promise<boolean> =>
  access(file).then(
    () => true,
    () => false,
  );
