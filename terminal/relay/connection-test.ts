import { asTidemarkError, TidemarkError } from '@tidemark/protocol/errors';
import type { ConnectionTest } from '../agent/agent-api.ts';
import { RelayClient } from './relay-client.ts';
import { failureOf } from './relay-errors.ts';
import type { Secret } from './secret.ts';

/** Tests settings by asking the relay for its status. Stores nothing and never rejects. */
export async function testConnection(
  { relayUrl, feed, token }: { relayUrl: string; feed: string; token: Secret | null },
  version: string,
): Promise<ConnectionTest> {
  const began = Date.now();
  let relay: RelayClient | null = null;
  try {
    if (token === null) throw new TidemarkError('not_configured');
    relay = new RelayClient({ relayUrl, feed, token, version });
    const status = await relay.status({ cursor: null, scopes: null }, 0, new AbortController().signal);
    return { ok: true, status, latencyMs: Date.now() - began };
  } catch (error) {
    return { ok: false, fault: failureOf(asTidemarkError(error), false).fault };
  } finally {
    relay?.close();
  }
}
