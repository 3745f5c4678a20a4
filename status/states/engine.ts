import { makeState, type Reading, type State } from '../reading.ts';
import { action } from './wording.ts';

/** States of the sync engine's process, and of a PC that is not set up. */

/** How often the app restarts the engine before it asks a person to; see electron/main/agent/restart-policy.ts. */
const MAX_RESTARTS = 5;

/** The engine failed too often to be restarted automatically. */
export function agentDown({ facts: { agent }, format }: Reading): State | null {
  if (agent.state !== 'down') return null;
  return makeState(
    'agent-down',
    'error',
    {
      headline: 'The sync engine stopped',
      detail: `It failed ${format.counted(Math.max(1, agent.restarts), 'time')} in 10 minutes. Your data is safe`,
      short: 'Sync engine stopped',
    },
    { primary: action('restart-agent'), secondary: [action('copy-details')] },
    agent.since,
  );
}

/** The engine failed, and the app is restarting it. */
export function agentRestarting({ facts: { agent }, format }: Reading): State | null {
  if (agent.state !== 'restarting') return null;
  return makeState(
    'agent-restarting',
    'busy',
    {
      headline: 'Restarting the sync engine…',
      detail: `It stopped unexpectedly (${format.count(agent.restarts)} of ${MAX_RESTARTS} restarts). Your data is safe`,
      short: 'Restarting',
    },
    {},
    agent.since,
  );
}

/** The relay's address or the key is not set. */
export function setup({ facts, fault }: Reading): State | null {
  if (facts.configured && fault?.code !== 'not_configured') return null;
  return makeState(
    'setup',
    'info',
    {
      headline: 'Not set up yet',
      detail: 'Connect this PC to a sync server to receive data',
      short: 'Not set up',
    },
    { primary: action('set-up') },
  );
}

/** The engine is opening the replica. */
export function starting({ facts }: Reading): State | null {
  if (facts.agent.state !== 'starting' && facts.phase.kind !== 'starting') return null;
  return makeState('starting', 'unknown', {
    headline: 'Starting…',
    detail: 'Opening the local database',
    short: 'Starting',
  });
}
