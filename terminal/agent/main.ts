import type { Port } from '@tidemark/calls/port';
import { serve } from '@tidemark/calls/server';
import { TidemarkError } from '@tidemark/protocol/errors';
import { Replica } from '@tidemark/replica/replica';
import { query, TEXT, value } from '@tidemark/table-store/query';
import { openReader, openWriter } from '@tidemark/table-store/sqlite';
import pino from 'pino';
import { testConnection } from '../relay/connection-test.ts';
import { Secret } from '../relay/secret.ts';
import { createAgent } from './agent.ts';
import type { Agent, AgentSettings } from './agent-api.ts';
import { AGENT_EVENTS, AGENT_METHODS, type AgentConfig } from './contract.ts';

/** The sync engine's process: the agent, driven by the app's main process. */

const logger = pino(pino.destination({ dest: 1, sync: true }));
const parent = process.parentPort;
const port: Port = {
  post: (message) => parent.postMessage(message),
  onMessage: (listener) => void parent.on('message', ({ data }) => listener(data)),
};

let running: { agent: Agent; databasePath: string } | null = null;
/** Changes of config are taken one after the other. */
let configuring: Promise<void> = Promise.resolve();

const settingsOf = (config: AgentConfig): AgentSettings => ({
  relayUrl: config.relayUrl,
  feed: config.feed,
  token: new Secret(config.token),
  centralName: config.centralName,
  terminalName: config.branchName,
  everyMs: config.everyMinutes === 0 ? null : config.everyMinutes * 60_000,
  automatic: config.automatic,
});

async function configure(config: AgentConfig | null): Promise<void> {
  if (running && running.databasePath !== config?.databasePath) {
    const { agent } = running;
    running = null;
    await agent.stop();
  }
  if (config === null) return;
  if (running) return running.agent.changeSettings(settingsOf(config));
  const agent = createAgent(
    {
      databasePath: config.databasePath,
      version: config.version,
      checkAtStart: true,
      watch: false,
      freshCopy: 'ask',
      giveUpAfterMs: null,
      paused: config.paused,
    },
    (level, event, fields) => logger[level](fields, event),
  );
  running = { agent, databasePath: config.databasePath };
  agent.onFacts((facts) => tell('facts', facts));
  agent.start(settingsOf(config));
  tell('facts', agent.facts());
}

function theAgent(): Agent {
  if (!running) throw new TidemarkError('not_configured');
  return running.agent;
}

const tell = serve(
  port,
  { methods: AGENT_METHODS, events: AGENT_EVENTS },
  {
    async 'agent.configure'({ config }) {
      const done = configuring.then(() => configure(config));
      configuring = done.catch(() => {});
      await done;
      return {};
    },
    async 'agent.online'({ online }) {
      running?.agent.setOnline(online);
      return {};
    },
    async 'agent.wake'() {
      running?.agent.woke();
      return {};
    },
    async 'agent.probe'({ file }) {
      Replica.open(file, 'probe').close();
      const reader = openReader(file);
      const sqlite = query(reader, 'SELECT sqlite_version()', value(TEXT)).one();
      reader.close();
      return { sqlite, node: process.versions.node };
    },
    async 'agent.stop'() {
      await configuring;
      await running?.agent.stop();
      // After the answer has left.
      setImmediate(() => process.exit(0));
      return {};
    },
    async 'sync.start'({ mode, target }) {
      // New settings may be on their way in: what follows them is meant for them.
      await configuring;
      theAgent().run(mode, 'manual', target);
      return {};
    },
    async 'sync.cancel'() {
      theAgent().cancel();
      return {};
    },
    async 'sync.pause'({ until }) {
      theAgent().pause(until, 'you');
      return {};
    },
    async 'sync.resume'() {
      theAgent().resume();
      return {};
    },
    'waiting.list': async ({ after, limit }) => theAgent().waiting(after, limit),
    'tables.list': async () => theAgent().tables(),
    'runs.list': async ({ before, limit }) => theAgent().runs(before, limit),
    'lag.list': async ({ sinceMs }) => theAgent().samples(sinceMs),
    'connection.test': async ({ relayUrl, feed, token, version }) =>
      testConnection({ relayUrl, feed, token: new Secret(token) }, version),
  },
  { onInvalidMessage: (error) => logger.error({ detail: error.message }, 'agent.invalid_call') },
);

function sqliteVersion(): string | null {
  try {
    const db = openWriter(':memory:', { synchronous: 'normal' });
    const sqlite = query(db, 'SELECT sqlite_version()', value(TEXT)).one();
    db.close();
    return sqlite;
  } catch (error) {
    // The replica's own fault will tell it to the person.
    logger.error({ detail: String(error) }, 'sqlite.unusable');
    return null;
  }
}

tell('ready', { sqlite: sqliteVersion() });
