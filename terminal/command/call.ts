import { TidemarkError } from '@tidemark/protocol/errors';
import type { Fault } from '@tidemark/protocol/fault';
import type { AgentSettings, Log } from '../agent/agent-api.ts';

/** One call of a command: its parsed options, and where its output goes. */
export interface Call {
  settings: AgentSettings;
  /** The replica's file. */
  database: string;
  version: string;
  json: boolean;
  log: Log;
  print: (line: string) => void;
  /** Shows a line of progress in place of the one before; null clears it. */
  show: (line: string | null) => void;
  /** Aborted when a person or the system ends the command. */
  signal: AbortSignal;
}

/** A fault as the error that ends a command. */
export function faultError({ code, params, detail }: Fault): TidemarkError {
  return new TidemarkError(code, params, detail);
}
