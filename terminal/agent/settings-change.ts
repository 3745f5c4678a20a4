import type { Event } from '../machine/event.ts';
import type { Policy } from '../machine/state.ts';
import type { RelayAddress } from '../relay/relay-transport.ts';
import type { AgentOptions, AgentSettings } from './agent-api.ts';

/** Derives what new settings mean for the machine and for the connection to the relay. */

/** Returns the relay, feed and key of the settings. Null: one of them is missing. */
export function connectionOf({ relayUrl, feed, token }: AgentSettings): Omit<RelayAddress, 'version'> | null {
  return relayUrl === '' || feed === '' || token === null ? null : { relayUrl, feed, token };
}

export function isSameConnection(a: AgentSettings, b: AgentSettings): boolean {
  const sameKey = a.token && b.token ? a.token.equals(b.token) : a.token === b.token;
  return a.relayUrl === b.relayUrl && a.feed === b.feed && sameKey;
}

/** Returns the machine's event of a change. `before` is null for the first settings. */
export function settingsEvent(options: AgentOptions, before: AgentSettings | null, settings: AgentSettings): Event {
  const { feed } = settings;
  const isNewFeed = before !== null && before.feed !== feed;
  const isNewConnection = before !== null && !isSameConnection(before, settings);
  return {
    type: 'settings',
    feed: feed === '' ? 'none' : isNewFeed ? 'changed' : 'same',
    connection: connectionOf(settings) === null ? 'none' : isNewConnection ? 'changed' : 'same',
    policy: policyOf(options, settings),
  };
}

export function policyOf(options: AgentOptions, settings: AgentSettings | null): Policy {
  const { checkAtStart, watch, freshCopy, giveUpAfterMs, repair = true } = options;
  const { everyMs = null, automatic = 'check' } = settings ?? {};
  return { checkAtStart, watch, freshCopy, giveUpAfterMs, repair, everyMs, automatic };
}
