import type { ReadyPage } from '../compression.ts';

/**
 * Counts the bytes of pages in answers that clients have not taken.
 *
 * A page is served only while there is room: while all unread answers have less than {@link UNREAD_BYTES}, and those
 * of the key less than {@link UNREAD_BYTES_OF_KEY}. A single page may exceed a bound. Answers that share a page hold its
 * bytes once; each of their keys counts them in full. See B4 in docs/protocol.md.
 */

export const UNREAD_BYTES = 32 * 1024 * 1024;
export const UNREAD_BYTES_OF_KEY = 4 * 1024 * 1024;
/** Memory that an answer takes beside its page, in bytes. */
export const ANSWER_BYTES = 4096;

/** A page that counts as unread until it is released. */
export interface HeldPage {
  page: ReadyPage;
  /** Call once, when the client has taken the answer or has disconnected. */
  release: () => void;
}

export class UnreadAnswers {
  readonly #onRoom: () => void;
  #bytes = 0;
  readonly #bytesOfKey = new Map<string, number>();
  /** Number of answers that hold each page. */
  readonly #answersOf = new Map<Buffer, number>();

  /** Calls `onRoom` after each release. */
  constructor(onRoom: () => void) {
    this.#onRoom = onRoom;
  }

  get isFull(): boolean {
    return this.#bytes >= UNREAD_BYTES;
  }

  hasRoom(key: string): boolean {
    return !this.isFull && (this.#bytesOfKey.get(key) ?? 0) < UNREAD_BYTES_OF_KEY;
  }

  hold(key: string, page: ReadyPage): HeldPage {
    const { bytes } = page;
    const answers = this.#answersOf.get(bytes) ?? 0;
    this.#answersOf.set(bytes, answers + 1);
    this.#bytes += ANSWER_BYTES + (answers === 0 ? bytes.length : 0);
    this.#addOfKey(key, ANSWER_BYTES + bytes.length);
    return { page, release: () => this.#release(key, bytes) };
  }

  #release(key: string, bytes: Buffer): void {
    const answers = (this.#answersOf.get(bytes) ?? 0) - 1;
    if (answers > 0) this.#answersOf.set(bytes, answers);
    else this.#answersOf.delete(bytes);
    this.#bytes -= ANSWER_BYTES + (answers > 0 ? 0 : bytes.length);
    this.#addOfKey(key, -ANSWER_BYTES - bytes.length);
    this.#onRoom();
  }

  #addOfKey(key: string, bytes: number): void {
    const sum = (this.#bytesOfKey.get(key) ?? 0) + bytes;
    if (sum > 0) this.#bytesOfKey.set(key, sum);
    else this.#bytesOfKey.delete(key);
  }
}
