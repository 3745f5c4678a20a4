import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Role } from '@tidemark/protocol/api';
import type { Path } from '@tidemark/protocol/paths';
import type { z } from 'zod';
import type { Feed } from '../../feed/feed.ts';
import type { Bearer } from '../../tokens/tokens.ts';

/**
 * One route of the relay, as a value. The registrar in `http/app.ts` authenticates the request, parses its input and
 * then calls the handler; `http/operations/openapi.ts` describes the API from the same values. The route's output
 * schema types the handler's answer, so that answers match their description.
 */

/** The argument of a handler. */
export interface Call<I> {
  input: I;
  feed: Feed;
  bearer: Bearer;
  request: IncomingMessage;
  response: ServerResponse;
  /** Reads the body. Throws body_too_large beyond this many bytes, request_invalid, relay_busy. */
  body: (bytes: number) => Promise<Uint8Array<ArrayBuffer>>;
  /** Aborted when the caller has disconnected or the relay stops. */
  signal: AbortSignal;
}

interface RouteOf<I extends z.ZodObject> {
  method: 'GET' | 'POST';
  path: Path<string>;
  role: Role;
  /** Schema of the fields in path and query, which arrive as text. */
  input: I;
  summary: string;
}

/** A route whose handler returns a value, which the relay sends as JSON that must not be cached. */
interface JsonRoute<I extends z.ZodObject, O extends z.ZodType> extends RouteOf<I> {
  output: O;
  handle: (call: Call<z.output<I>>) => z.input<O> | Promise<z.input<O>>;
}

/** A route whose handler writes the response. */
interface BytesRoute<I extends z.ZodObject> extends RouteOf<I> {
  /** Media type of the body, and its schema if it is JSON. */
  output: { type: string; schema?: z.ZodType };
  handle: (call: Call<z.output<I>>) => Promise<void>;
}

/** Any route, without the types of its input and output. */
export type Route =
  | ({ kind: 'json' } & JsonRoute<z.ZodObject, z.ZodType>)
  | ({ kind: 'bytes' } & BytesRoute<z.ZodObject>);

/** Checks the type of a route's handler against its input and output, and returns the route without these types. */
export function jsonRoute<I extends z.ZodObject, O extends z.ZodType>(route: JsonRoute<I, O>): Route {
  return { kind: 'json', ...(route as unknown as JsonRoute<z.ZodObject, z.ZodType>) };
}

export function bytesRoute<I extends z.ZodObject>(route: BytesRoute<I>): Route {
  return { kind: 'bytes', ...(route as unknown as BytesRoute<z.ZodObject>) };
}
