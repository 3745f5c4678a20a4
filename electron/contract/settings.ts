import { RelayAddress } from '@tidemark/protocol/relay-address';
import { AutomaticMode, EveryMinutes } from '@tidemark/terminal/agent/contract';
import { z } from 'zod';

/** The app's settings as the window sees and changes them. The key goes in and never comes out. */
export const Settings = z.object({
  /** '' until it is set. */
  relayUrl: z.union([z.literal(''), RelayAddress]),
  /** '' until it is set. */
  feed: z.string(),
  /** Whether a key is stored and readable. */
  hasToken: z.boolean(),
  /** Where the key is kept: in the operating system's key store, or in a file that only its rights protect. */
  tokenStore: z.enum(['os', 'file', 'none']),
  centralName: z.string().max(60),
  branchName: z.string().max(60),
  /** Minutes between automatic runs; 0 is off. */
  everyMinutes: EveryMinutes,
  /** Whether an automatic run receives the changes, or only counts them. */
  automatic: AutomaticMode,
  theme: z.enum(['system', 'light', 'dark']),
  /** The replica's file; '' until a feed is set. */
  databasePath: z.string(),
});
export type Settings = z.infer<typeof Settings>;

/** A change of some settings. Absent ones keep their value. */
export const SettingsChange = Settings.pick({
  relayUrl: true,
  feed: true,
  centralName: true,
  branchName: true,
  everyMinutes: true,
  automatic: true,
  theme: true,
})
  .extend({ token: z.string().trim().min(1).max(500) })
  .partial();
export type SettingsChange = z.infer<typeof SettingsChange>;

/**
 * Something that could not be used of the settings found at start, so that the PC may look new although it is not. It
 * stays until a person has saved what replaces it.
 *
 * - `file-damaged`: nothing could be read of the settings file; all settings have their defaults.
 * - `fields-invalid`: some settings are not valid and have their defaults; the others are in use.
 * - `preset-refused`: the file with the settings prepared for this PC was not accepted; nothing was changed.
 * - `key-lost`: the operating system's key store did not return the key.
 */
export const SettingsFault = z.object({
  kind: z.enum(['file-damaged', 'fields-invalid', 'preset-refused', 'key-lost']),
  /** Path of the file concerned. */
  file: z.string(),
  /** The cause, for details and support. Holds no secret. */
  reason: z.string(),
});
export type SettingsFault = z.infer<typeof SettingsFault>;
