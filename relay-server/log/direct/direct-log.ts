import { randomUUID } from 'node:crypto';
import type { BatchAnswer, SessionAnswer, SessionRequest } from '@tidemark/protocol/api';
import { TidemarkError } from '@tidemark/protocol/errors';
import type { PublishConfig } from '../../config/relay-config.ts';
import { after, earlier, type Moment } from '../../freshness/moment.ts';
import type { BatchTimes, LogSource, LogStore, PushEndpoint } from '../log-source.ts';

/**
 * The log source of a feed that pushes batches to this relay over HTTP.
 *
 * Only one session is valid at a time. A new session supersedes the previous one, so the later of two feed processes
 * wins. Batches of a session are numbered from 1. A feed may repeat the last batch, because its answer may have been
 * lost. A failed batch ends the session; the feed then begins a new one from the position on disk.
 */

interface DirectLogDeps {
  store: LogStore;
  now: () => Moment;
  /** The tables that the feed publishes, from relay.yaml. */
  tables: PublishConfig;
  /** Called when a session begins. */
  onSession: (request: SessionRequest, head: number) => void;
}

interface Session {
  id: string;
  /** Number of the last answered batch; 0 before the first. */
  lastNumber: number;
  lastAnswer: BatchAnswer | null;
  /** Whether a batch is being applied. */
  busy: boolean;
  /** When the last answer, to the session or to a batch, was ready. The feed received it later. */
  answeredAt: Moment;
}

export class DirectLog implements LogSource, PushEndpoint {
  readonly push: PushEndpoint = this;
  readonly #deps: DirectLogDeps;
  #session: Session | null = null;

  constructor(deps: DirectLogDeps) {
    this.#deps = deps;
  }

  async session(request: SessionRequest): Promise<SessionAnswer> {
    const { publish, except, filtered } = this.#deps.tables;
    // An older feed would ignore the field and publish the tables that relay.yaml leaves out.
    if (except !== null && !request.obeys?.includes('except')) throw new TidemarkError('protocol_unsupported');
    const session: Session = {
      id: randomUUID(),
      lastNumber: 0,
      lastAnswer: null,
      busy: false,
      answeredAt: this.#deps.now(),
    };
    this.#session = session;
    const { source, base } = request;
    const { feed, tables } = await this.#deps.store.begin(`${source.kind} ${source.id}`, base);
    this.#deps.onSession(request, feed.head);
    session.answeredAt = this.#deps.now();
    return {
      session: session.id,
      epoch: feed.epoch,
      head: feed.head,
      position: feed.position,
      publish,
      ...(except === null ? {} : { except, filtered }),
      tables,
      nextTableId: feed.nextTableId,
    };
  }

  async batch(
    sessionId: string,
    number: number,
    bytes: Uint8Array<ArrayBuffer>,
    times: BatchTimes,
  ): Promise<BatchAnswer> {
    const session = this.#session;
    if (!session) throw new TidemarkError('session_unknown');
    if (session.id !== sessionId) throw new TidemarkError('session_superseded');
    if (number === session.lastNumber && session.lastAnswer) return session.lastAnswer;
    const expected = session.lastNumber + 1;
    if (session.busy || number !== expected)
      throw new TidemarkError('batch_out_of_order', { detail: `number ${number} instead of ${expected}` });
    session.busy = true;
    try {
      const { feed } = await this.#deps.store.append(bytes, sampledAt(session, times));
      session.lastNumber = number;
      session.answeredAt = this.#deps.now();
      session.lastAnswer = { head: feed.head, position: feed.position };
      return session.lastAnswer;
    } catch (error) {
      // The store rolled back the uncommitted changes of this session.
      if (this.#session === session) this.#session = null;
      throw error;
    } finally {
      session.busy = false;
    }
  }

  /** Ends the session. No batch is running, because the server has already completed all requests. */
  close(): Promise<void> {
    this.#session = null;
    return Promise.resolve();
  }
}

/**
 * Returns a moment no later than the one at which the feed read the end of the log. The feed states that moment relative
 * to its receipt of the previous answer, which was after the relay sent this answer. So the result needs no comparison
 * of two clocks, and the delay of the answer only makes it earlier. A feed that does not send the header counts from
 * the arrival of the batch.
 */
function sampledAt({ answeredAt }: Session, { arrivedAt, sampledMs }: BatchTimes): Moment {
  return sampledMs === null ? arrivedAt : earlier(after(answeredAt, sampledMs), arrivedAt);
}
