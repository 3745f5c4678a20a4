import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { problems } from '@tidemark/calls/problems';
import { z } from 'zod';
import { SettingsChange } from '../../contract/settings.ts';

/** A preset file: settings that an administrator prepared for a PC that has none yet. */
const Preset = SettingsChange.omit({ token: true, sendKeyTo: true })
  .extend({
    /** Path of a file with the key, relative to the preset file. */
    tokenFile: z.string().optional(),
  })
  .strict();

/** Reads a preset as a change of settings. Throws an Error whose message lists all problems. */
export async function readPreset(file: string): Promise<SettingsChange> {
  const preset = Preset.safeParse(JSON.parse(await readFile(file, 'utf8')));
  if (!preset.success) throw new Error(problems(preset.error));
  const { tokenFile, ...fields } = preset.data;
  if (tokenFile === undefined) return fields;
  const token = (await readFile(path.resolve(path.dirname(file), tokenFile), 'utf8')).trim();
  const change = SettingsChange.safeParse({ ...fields, token });
  if (!change.success) throw new Error(problems(change.error));
  return change.data;
}
