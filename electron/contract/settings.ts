import { RelayAddress } from '@tidemark/protocol/relay-address';
import { AutomaticMode, EveryMinutes } from '@tidemark/terminal/agent/contract';
import { z } from 'zod';

/** The app's settings as the window sees and changes them. The window can set the key but never read it. */
export const Settings = z.object({
  /** Address of the relay; '' until it is set. */
  relayUrl: z.union([z.literal(''), RelayAddress]),
  /** Name of the feed; '' until it is set. */
  feed: z.string(),
  /** Whether a key is stored and can be decrypted. */
  hasToken: z.boolean(),
  /**
   * Where the key is kept: encrypted by the operating system's key store, or in a file that only its permissions
   * protect.
   */
  tokenStore: z.enum(['os', 'file', 'none']),
  /** The server for which the key was stored, as scheme, host and port; '' before a key is stored. */
  keyServer: z.string(),
  centralName: z.string().max(60),
  branchName: z.string().max(60),
  /** Minutes between automatic runs. 0 turns them off. */
  everyMinutes: EveryMinutes,
  /** Whether an automatic run receives changes or only counts them. */
  automatic: AutomaticMode,
  theme: z.enum(['system', 'light', 'dark']),
  /** Path of the replica; '' until a feed is set. */
  databasePath: z.string(),
});
export type Settings = z.infer<typeof Settings>;

/** A change of settings. Absent fields keep their values. */
export const SettingsChange = Settings.pick({
  relayUrl: true,
  feed: true,
  centralName: true,
  branchName: true,
  everyMinutes: true,
  automatic: true,
  theme: true,
})
  .extend({
    token: z.string().trim().min(1).max(500),
    /**
     * The person's confirmation that the stored key may be sent to this server (scheme, host and port). Required for a
     * change of `relayUrl` to another server that brings no new key.
     */
    sendKeyTo: z.string(),
  })
  .partial();
export type SettingsChange = z.infer<typeof SettingsChange>;

/**
 * A part of the settings that the app could not use at start. Because of it, a configured PC may look like a new one.
 * The fault remains until a person saves new values.
 *
 * - `file-damaged`: the settings file could not be read; all settings have their defaults.
 * - `fields-invalid`: some settings are not valid and have their defaults; the others are in use.
 * - `preset-refused`: the app rejected the preset file for this PC and changed no setting.
 * - `key-lost`: the operating system's key store did not return the key.
 * - `key-elsewhere`: the key was stored for another server than that of the stored address, so it is not used.
 */
export const SettingsFault = z.object({
  kind: z.enum(['file-damaged', 'fields-invalid', 'preset-refused', 'key-lost', 'key-elsewhere']),
  /** Path of the file with the fault. */
  file: z.string(),
  /** The cause, for the details and for support. Contains no secret. */
  reason: z.string(),
});
export type SettingsFault = z.infer<typeof SettingsFault>;
