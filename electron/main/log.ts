import { mkdirSync, renameSync, statSync } from 'node:fs';
import path from 'node:path';
import pino from 'pino';

/** At start, the app renames a log larger than this to `tidemark.log.1` and begins a new one. */
const MAX_BYTES = 5 * 1024 * 1024;

export interface AppLog {
  write(level: 'info' | 'warn' | 'error', event: string, fields?: Record<string, unknown>): void;
  /** Adds a line that the agent has already formatted as JSON. */
  line(text: string): void;
  flush(): void;
}

/** Opens the app's log, a file of JSON lines in `folder`. Callers must never pass it a secret. */
export function openLog(folder: string): AppLog {
  mkdirSync(folder, { recursive: true });
  const file = path.join(folder, 'tidemark.log');
  const size = statSync(file, { throwIfNoEntry: false })?.size ?? 0;
  if (size > MAX_BYTES) renameSync(file, `${file}.1`);
  const stream = pino.destination({ dest: file, sync: true, mode: 0o600 });
  const logger = pino({ base: null, timestamp: pino.stdTimeFunctions.isoTime }, stream);
  return {
    write: (level, event, fields = {}) => logger[level](fields, event),
    line: (text) => void stream.write(`${text}\n`),
    flush: () => stream.flushSync(),
  };
}
