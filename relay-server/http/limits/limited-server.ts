import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { HEADER_BYTES, type HttpLimits, MOST_HEADERS } from './http-limits.ts';

/**
 * Creates an HTTP server whose connections are limited in number, time and memory.
 *
 * A connection beyond a limit is closed without an answer, because an answer would need the memory that the limit saves.
 * When a connection is lost, the server emits `close` for each of its responses, even if one waits behind another. The
 * work for them then ends.
 */
export function limitedServer(
  handler: RequestListener,
  limits: HttpLimits,
  isProxy: (address: string) => boolean = () => false,
): Server {
  const server = createServer({
    maxHeaderSize: HEADER_BYTES,
    headersTimeout: limits.headersMs,
    requestTimeout: limits.requestMs,
    keepAliveTimeout: limits.idleMs,
    connectionsCheckingInterval: Math.min(5_000, limits.headersMs / 4),
    // The handler refuses such a request itself, with a body that names the mistake.
    requireHostHeader: false,
  });
  // One more than permitted, because some versions of Node.js drop further headers instead of refusing the request. The
  // handler then still notices that there are too many.
  server.maxHeadersCount = MOST_HEADERS + 1;
  server.maxConnections = limits.connections;
  server.timeout = limits.stallMs;
  const connections = new Connections(limits, isProxy);
  server.prependListener('connection', (socket: Socket) => connections.open(socket));
  server.on('timeout', (socket: Socket) => connections.onPause(socket));
  const onRequest: RequestListener = (request, response) => {
    if (connections.accept(request, response)) handler(request, response);
  };
  // Without the last two, Node.js would ask for the body before the key is checked, and answer other expectations itself.
  for (const event of ['request', 'checkContinue', 'checkExpectation']) server.on(event, onRequest);
  return server;
}

class Connections {
  readonly #limits: HttpLimits;
  readonly #isProxy: (address: string) => boolean;
  readonly #byAddress = new Map<string, number>();
  /** The responses of each connection that are not sent yet. */
  readonly #responses = new WeakMap<Socket, Set<ServerResponse>>();
  #requests = 0;

  constructor(limits: HttpLimits, isProxy: (address: string) => boolean) {
    this.#limits = limits;
    this.#isProxy = isProxy;
  }

  open(socket: Socket): void {
    const address = socket.remoteAddress;
    // The client has already closed the connection.
    if (address === undefined) return;
    const responses = new Set<ServerResponse>();
    this.#responses.set(socket, responses);
    const isCounted = !this.#isProxy(address);
    const count = (this.#byAddress.get(address) ?? 0) + 1;
    if (isCounted) this.#byAddress.set(address, count);
    socket.once('close', () => {
      if (isCounted) this.#leave(address);
      // Node.js has now emitted it for the first of them, and emits it for no other.
      process.nextTick(() => {
        for (const response of responses) response.emit('close');
      });
    });
    if (isCounted && count > this.#limits.connectionsOfAddress) socket.destroy();
  }

  /** Counts a request until its answer is sent. Returns false if the connection has too many, and closes it. */
  accept(request: IncomingMessage, response: ServerResponse): boolean {
    const { socket } = request;
    const responses = this.#responses.get(socket);
    // Requests that arrived together with the one that exceeded the limit.
    if (!responses || socket.destroyed) return false;
    const most = this.#requests < this.#limits.requests ? this.#limits.requestsOfConnection : 1;
    if (responses.size >= most) {
      socket.destroy();
      return false;
    }
    responses.add(response);
    this.#requests++;
    response.once('close', () => {
      responses.delete(response);
      this.#requests--;
      if (!request.complete) this.#linger(request);
    });
    return true;
  }

  /** Closes a connection that is idle, or whose client reads no byte of its answer. A handler may take any time. */
  onPause(socket: Socket): void {
    const isWorking = (this.#responses.get(socket)?.size ?? 0) > 0 && socket.writableLength === 0;
    if (isWorking) socket.setTimeout(this.#limits.stallMs);
    else socket.destroy();
  }

  #leave(address: string): void {
    const left = (this.#byAddress.get(address) ?? 1) - 1;
    if (left > 0) this.#byAddress.set(address, left);
    else this.#byAddress.delete(address);
  }

  /**
   * Reads the rest of a body for a short time, although the answer is sent: a client that is still sending would lose
   * the answer if the connection was closed at once.
   */
  #linger(request: IncomingMessage): void {
    setTimeout(() => {
      if (!request.complete) request.socket.destroy();
    }, this.#limits.lingerMs).unref();
  }
}
