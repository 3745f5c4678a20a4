import { TidemarkError } from '@tidemark/protocol/errors';
import type { Fault } from '@tidemark/protocol/fault';
import type { AgentSettings, Log } from '../agent/agent-api.ts';

/** One call of a command: its parsed options, and where its output goes. */
export interface Call {
  settings: AgentSettings;
  /** Path of the replica. */
  database: string;
  version: string;
  json: boolean;
  log: Log;
  print: (line: string) => void;
  /** Replaces the line of progress on the console. Null clears it. */
  show: (line: string | null) => void;
  /** Aborted when a person or the system ends the command. */
  signal: AbortSignal;
}

/** Returns a fault as the error with which a command ends. */
export function faultError({ code, params, detail }: Fault): TidemarkError {
  return new TidemarkError(code, params, detail);
}
