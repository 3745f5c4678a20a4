/**
 * The limits of the relay's HTTP server. docs/protocol.md states them (B40 to B49). Tests replace the times, so that they
 * need not wait for minutes.
 */
export interface HttpLimits {
  /** Open connections in all. */
  connections: number;
  /** Open connections of one address. A trusted proxy carries many clients and has no limit of its own. */
  connectionsOfAddress: number;
  /** Requests of one connection whose answers are not sent yet. More than one means that the client pipelines. */
  requestsOfConnection: number;
  /** Requests in all whose answers are not sent yet. Beyond it, no connection may pipeline. */
  requests: number;
  /** Time from the first byte of a request, or from a connection without one, until its headers are complete, in ms. */
  headersMs: number;
  /** Time until a request with its body is complete, in ms. A feed gives up after the same time. */
  requestMs: number;
  /** Time for a body that no feed sends, in ms. */
  bodyMs: number;
  /** Time that a connection stays open between two requests, in ms. */
  idleMs: number;
  /** Time during which a client may take no byte of an answer that waits for it, in ms. */
  stallMs: number;
  /** Time during which the relay still reads, and discards, a body that it has refused, in ms. */
  lingerMs: number;
}

export const HTTP_LIMITS: HttpLimits = {
  connections: 24_000,
  connectionsOfAddress: 2_000,
  requestsOfConnection: 64,
  requests: 30_000,
  headersMs: 20_000,
  requestMs: 600_000,
  bodyMs: 60_000,
  idleMs: 75_000,
  stallMs: 60_000,
  lingerMs: 2_000,
};

/** Maximum size of the request line and the headers together, in bytes. */
export const HEADER_BYTES = 16 * 1024;
/** Maximum number of header lines. */
export const MOST_HEADERS = 100;
