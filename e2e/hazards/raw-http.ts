import net from 'node:net';

/** One TCP connection to a relay on loopback, on which a test sends bytes that an HTTP client would not send. */
export class RawConnection {
  readonly socket: net.Socket;
  /** Everything that the relay has sent. */
  received = '';
  /** Resolves when the connection is closed, by either side. */
  readonly closed: Promise<void>;

  private constructor(socket: net.Socket) {
    this.socket = socket;
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()));
    socket.setEncoding('latin1').on('data', (text: string) => {
      this.received += text;
    });
    // A relay that closes the connection early resets it.
    socket.on('error', () => undefined);
  }

  /** Connects to a relay and sends `bytes`. `from`: the client's address. */
  static open(url: string, bytes = '', from?: string): Promise<RawConnection> {
    const { hostname, port } = new URL(url);
    const socket = net.connect({ host: hostname, port: Number(port), ...(from ? { localAddress: from } : {}) });
    const connection = new RawConnection(socket);
    if (bytes !== '') socket.write(bytes);
    return new Promise((resolve) => {
      socket.once('connect', () => resolve(connection));
      socket.once('close', () => resolve(connection));
    });
  }

  static many(count: number, url: string, bytes = '', from?: string): Promise<RawConnection[]> {
    return Promise.all(Array.from({ length: count }, () => RawConnection.open(url, bytes, from)));
  }

  /** Sends `part` again and again until the connection is closed. */
  trickle(part: string, everyMs: number): void {
    const timer = setInterval(() => this.socket.write(part), everyMs);
    this.socket.once('close', () => clearInterval(timer));
  }

  /** Sends `part` as fast as the relay reads it, until the connection is closed. */
  flood(part: string): void {
    const send = () => {
      while (this.socket.writable && this.socket.write(part));
    };
    this.socket.on('drain', send);
    send();
  }

  /** The statuses of the answers so far, without 100 Continue. */
  get statuses(): number[] {
    return [...this.received.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status));
  }

  /** Closes the connection and waits until it is closed. */
  async end(): Promise<void> {
    this.socket.destroy();
    await this.closed;
  }
}

/** The bytes of a request. */
export function rawRequest(
  target: string,
  {
    method = 'GET',
    key,
    headers = [],
    body = '',
  }: { method?: string; key?: string; headers?: string[]; body?: string },
): string {
  const lines = [`${method} ${target} HTTP/1.1`, 'host: relay', ...headers];
  if (key !== undefined) lines.push(`authorization: Bearer ${key}`);
  return `${lines.join('\r\n')}\r\n\r\n${body}`;
}
