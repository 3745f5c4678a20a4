import http from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

/** A fault on the way to the relay. */
export type Trouble =
  | { kind: 'none' }
  /** Accepts requests and never answers. */
  | { kind: 'silence' }
  /** Closes every connection. */
  | { kind: 'cut' }
  /** Answers in place of the relay, like a proxy's sign-in page or a broken gateway. */
  | { kind: 'answer'; status: number; body: string; headers?: Record<string, string>; only?: RegExp }
  /** Passes on each request, and each answer, after this time. */
  | { kind: 'delay'; ms: number }
  /** Closes the connection of requests whose body contains this text. The relay does not receive them completely. */
  | { kind: 'refuse'; words: string }
  /** Passes on the bodies of pages and snapshots at this rate. */
  | { kind: 'slow'; bytesPerSecond: number }
  /** Ends the bodies of pages and snapshots after this many bytes. */
  | { kind: 'truncate'; after: number }
  /** Flips one bit in the middle of the bodies of pages and snapshots. */
  | { kind: 'flip' }
  /** Withholds the answers to requests whose body contains this text. The relay still processes the requests. */
  | { kind: 'withhold'; words: string };

/** A loopback proxy between terminal and relay that can cause faults. */
export class FaultProxy {
  trouble: Trouble = { kind: 'none' };
  /** Paths of the requests so far. */
  readonly requestedPaths: string[] = [];
  readonly #server: http.Server;
  readonly #sockets = new Set<Socket>();
  readonly #unanswered = new Set<Socket>();
  #port: number;

  private constructor(target: URL) {
    this.#port = Number(target.port);
    this.#server = http.createServer((request, response) => this.#pass(request, response));
    this.#server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
  }

  static async start(target: string): Promise<FaultProxy> {
    const proxy = new FaultProxy(new URL(target));
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  /** Passes requests to another relay from now on. */
  forwardTo(target: string): void {
    this.#port = Number(new URL(target).port);
  }

  /** Closes the connections on which a request was never answered. */
  closeUnanswered(): void {
    for (const socket of this.#unanswered) socket.destroy();
    this.#unanswered.clear();
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #pass(request: http.IncomingMessage, response: http.ServerResponse): void {
    const { trouble } = this;
    this.requestedPaths.push(request.url ?? '');
    if (trouble.kind === 'silence') {
      this.#unanswered.add(request.socket);
      return;
    }
    if (trouble.kind === 'cut') {
      request.socket.destroy();
      return;
    }
    if (trouble.kind === 'answer' && (trouble.only?.test(request.url ?? '') ?? true)) {
      response.writeHead(trouble.status, { 'content-type': 'text/html', ...trouble.headers });
      response.end(trouble.body);
      return;
    }
    let withheld = false;
    if (trouble.kind === 'withhold')
      request.on('data', (chunk: Buffer) => {
        withheld ||= chunk.includes(trouble.words);
      });
    const onward = http.request(
      { host: '127.0.0.1', port: this.#port, method: request.method, path: request.url, headers: request.headers },
      (answer) => {
        if (withheld) {
          this.#unanswered.add(request.socket);
          answer.resume();
          return;
        }
        const pass = () => {
          response.writeHead(answer.statusCode ?? 502, answer.headers);
          this.#body(request.url ?? '', answer, response);
        };
        if (trouble.kind === 'delay') setTimeout(pass, trouble.ms);
        else pass();
      },
    );
    onward.on('error', () => request.socket.destroy());
    response.on('close', () => onward.destroy());
    if (trouble.kind === 'refuse') {
      void this.#passUnless(trouble.words, request, onward);
      return;
    }
    if (trouble.kind === 'delay') setTimeout(() => request.pipe(onward), trouble.ms);
    else request.pipe(onward);
  }

  /** Passes on a request unless its body contains `words`. */
  async #passUnless(words: string, request: http.IncomingMessage, onward: http.ClientRequest): Promise<void> {
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    } catch {
      onward.destroy();
      return;
    }
    const body = Buffer.concat(chunks);
    if (body.includes(words)) {
      onward.destroy();
      request.socket.destroy();
    } else onward.end(body);
  }

  #body(url: string, answer: http.IncomingMessage, response: http.ServerResponse): void {
    const { trouble } = this;
    const large = /\/(pages|squashed|snapshots)\//.test(url);
    if (large && trouble.kind === 'truncate') {
      let left = trouble.after;
      answer.on('data', (chunk: Buffer) => {
        response.write(chunk.subarray(0, left));
        left -= chunk.length;
        if (left <= 0) setTimeout(() => response.destroy(), 20);
      });
      answer.on('end', () => response.end());
      return;
    }
    if (large && trouble.kind === 'flip') {
      let left = Math.floor(Number(answer.headers['content-length'] ?? 0) / 2);
      answer.on('data', (chunk: Buffer) => {
        if (left >= 0 && left < chunk.length) chunk[left] = (chunk[left] ?? 0) ^ 1;
        left -= chunk.length;
        response.write(chunk);
      });
      answer.on('end', () => response.end());
      return;
    }
    if (large && trouble.kind === 'slow') {
      this.#drip(answer, response, Math.max(1, Math.ceil(trouble.bytesPerSecond / 20))).catch(() => response.destroy());
      return;
    }
    answer.pipe(response);
  }

  /** Passes on a body, `step` bytes every 50 ms. When the fault is cleared, passes on the rest at once. */
  async #drip(answer: http.IncomingMessage, response: http.ServerResponse, step: number): Promise<void> {
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      for (let at = 0; at < chunk.length; ) {
        const take = this.trouble.kind === 'slow' ? step : chunk.length;
        response.write(chunk.subarray(at, at + take));
        at += take;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
    response.end();
  }
}
