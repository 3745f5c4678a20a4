import { mkdirSync, renameSync, statSync } from 'node:fs';
import path from 'node:path';
import pino from 'pino';

/** A log is begun anew when it has grown over this; the one before is kept. */
const MAX_BYTES = 5 * 1024 * 1024;

export interface AppLog {
  write(level: 'info' | 'warn' | 'error', event: string, fields?: Record<string, unknown>): void;
  /** A line of log that another process of ours wrote. */
  line(text: string): void;
  flush(): void;
}

/** The app's log: a file of JSON lines in `folder`. Nothing that is given to it may hold a secret. */
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
