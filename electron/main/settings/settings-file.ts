import { access, mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { problems } from '@tidemark/calls/problems';
import { FeedName } from '@tidemark/protocol/api';
import { PauseJson } from '@tidemark/status/facts';
import { z } from 'zod';
import { Settings, type SettingsFault } from '../../contract/settings.ts';

/** Defines the format of the settings file, reads and replaces it, and keeps a damaged one. */

/**
 * The stored form of a key: encrypted by the operating system and encoded as base64, or plain if there is no key store.
 */
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
  /** The server for which the key was stored. Absent in a file of an older version: that of `relayUrl`. */
  keyServer: z.string().optional(),
  /** The current pause, which outlives the app; null if there is none. */
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

/** The settings that were read, and the reason why some could not be used; null if all could. */
interface FoundSettings {
  stored: StoredSettings;
  fault: SettingsFault | null;
}

/**
 * Reads the settings file. Never throws: it uses the defaults for a missing file and for invalid fields. It also never
 * writes: {@link setAside} preserves an unusable file before the next write replaces it.
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
 * Replaces the settings file atomically: even after a power failure, a reader sees either the old file or the new one.
 * Throws the file system's errors and then keeps the old file. docs/dependencies.md explains why the app uses no
 * library for this.
 */
export async function writeSettings(file: string, stored: StoredSettings): Promise<void> {
  await mkdir(path.dirname(file), { recursive: true });
  const temporary = `${file}.new`;
  const handle = await open(temporary, 'w', 0o600);
  try {
    await handle.writeFile(`${JSON.stringify({ ...stored, paused: FIELDS.paused.encode(stored.paused) }, null, 2)}\n`);
    // Sync before the rename. Otherwise a power failure can leave an empty file under the new name.
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
 * Renames an unusable settings file to `settings.json.invalid`, or adds a number if that name exists. Returns the new
 * path, or null if the file no longer exists.
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
