import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Role } from '@tidemark/protocol/api';
import type { z } from 'zod';
import type { FeedService } from '../feed/feed-service.ts';
import type { Bearer } from '../tokens/tokens.ts';

/** What a handler is given, once the request was let in and its input checked. */
export interface Call<I> {
  input: I;
  feed: FeedService;
  bearer: Bearer;
  request: IncomingMessage;
  response: ServerResponse;
  /** Aborted when the caller has gone or the relay stops. */
  signal: AbortSignal;
}

/** One route, as a value. Input is the path's and the query's fields together, all text. */
export interface Route<I extends z.ZodObject = z.ZodObject> {
  method: 'GET' | 'POST';
  /** Express path; `:feed` is always in it. */
  path: string;
  role: Role;
  input: I;
  summary: string;
  /** Schema of the JSON answer; null: the handler writes bytes. */
  output: z.ZodType | null;
  /** Answers by its value (as JSON, never cached), or writes the response itself and gives undefined. */
  handle(call: Call<z.output<I>>): Promise<unknown> | unknown;
}

/** Keeps a route's input type together with its handler. */
export function route<I extends z.ZodObject>(value: Route<I>): Route {
  return value as unknown as Route;
}
