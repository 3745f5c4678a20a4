import type { Port } from '@tidemark/calls/port';
import { serve } from '@tidemark/calls/server';
import { Replica } from '@tidemark/replica/replica';
import { query, TEXT, value } from '@tidemark/table-store/query';
import { openReader, openWriter } from '@tidemark/table-store/sqlite';
import pino from 'pino';
import { testConnection } from '../relay/connection-test.ts';
import { Secret } from '../relay/secret.ts';
import { AgentHost } from './agent-host.ts';
import { AGENT_EVENTS, AGENT_METHODS } from './contract.ts';

/**
 * The agent process: answers the calls of the process that started it, and sends it facts. agent-host.ts does the rest.
 */

const logger = pino(pino.destination({ dest: 1, sync: true }));
const parent = process.parentPort;
const port: Port = {
  post: (message) => parent.postMessage(message),
  onMessage: (listener) => void parent.on('message', ({ data }) => listener(data)),
};
const host = new AgentHost(
  (level, event, fields) => logger[level](fields, event),
  (facts) => send('facts', facts),
);
const done = {};

const send = serve(
  port,
  { methods: AGENT_METHODS, events: AGENT_EVENTS },
  {
    async 'agent.configure'({ config }) {
      await host.configure(config);
      return done;
    },
    async 'agent.online'({ online }) {
      host.agentIfAny?.setOnline(online);
      return done;
    },
    async 'agent.wake'() {
      host.agentIfAny?.woke();
      return done;
    },
    'agent.probe': async ({ file }) => probe(file),
    async 'agent.stop'() {
      await host.stop();
      // Send the answer before the process ends.
      setImmediate(() => process.exit(0));
      return done;
    },
    async 'sync.start'({ mode, target }) {
      // The caller may have sent new settings just before, and means the run to use them.
      (await host.configuredAgent()).run(mode, 'manual', target);
      return done;
    },
    async 'sync.cancel'() {
      host.agent.cancel();
      return done;
    },
    async 'sync.pause'({ until }) {
      host.agent.pause(until, 'you');
      return done;
    },
    async 'sync.resume'() {
      host.agent.resume();
      return done;
    },
    'waiting.list': async ({ after, limit }) => host.agent.waiting(after, limit),
    'tables.list': async () => host.agent.tables(),
    'runs.list': async ({ before, limit }) => host.agent.runs(before, limit),
    'lag.list': async ({ sinceMs }) => host.agent.samples(sinceMs),
    'connection.test': async ({ relayUrl, feed, token, version }) =>
      testConnection({ relayUrl, feed, token: new Secret(token) }, version),
  },
  { onInvalidMessage: (error) => logger.error({ detail: error.message }, 'agent.invalid_call') },
);

send('ready', { sqlite: sqliteVersion() });

/** Opens a replica at a path where no file exists, and returns the versions of SQLite and Node. */
function probe(file: string): { sqlite: string; node: string } {
  Replica.open(file, 'probe').close();
  const reader = openReader(file);
  const sqlite = query(reader, 'SELECT sqlite_version()', value(TEXT)).one();
  reader.close();
  return { sqlite, node: process.versions.node };
}

/**
 * Returns the SQLite version. Null when SQLite cannot be loaded; opening the replica then fails with a fault that
 * people see.
 */
function sqliteVersion(): string | null {
  try {
    const db = openWriter(':memory:', { synchronous: 'normal' });
    const sqlite = query(db, 'SELECT sqlite_version()', value(TEXT)).one();
    db.close();
    return sqlite;
  } catch (error) {
    logger.error({ detail: String(error) }, 'sqlite.unusable');
    return null;
  }
}
