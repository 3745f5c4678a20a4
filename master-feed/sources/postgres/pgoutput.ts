/**
 * Decodes the messages of pgoutput, the built-in output plugin of Postgres, protocol version 1. Source: "Logical
 * Replication Message Formats" in the Postgres manual. Values are not copied: a tuple holds offsets into the message.
 * See docs/decisions/2026-11-23-own-pgoutput-decoder.md.
 */

export interface RelationColumn {
  /** Whether the column is part of the replica identity. */
  key: boolean;
  name: string;
  typeOid: number;
  modifier: number;
}

export interface Relation {
  oid: number;
  namespace: string;
  name: string;
  /** Replica identity: `d` default, `n` nothing, `f` full, `i` index. */
  identity: string;
  columns: RelationColumn[];
}

/** The values of a row as offsets into a message: for each column its kind, start and end. */
export interface Tuple {
  bytes: Buffer;
  /** Character codes: `n` NULL, `u` unchanged and not sent, `t` text. */
  kinds: number[];
  from: number[];
  to: number[];
}

export const NULL = 0x6e;
export const UNCHANGED = 0x75;
const TEXT = 0x74;

export type Message =
  | { kind: 'begin'; commitLsn: bigint; committedAt: string }
  | { kind: 'commit'; commitLsn: bigint; endLsn: bigint }
  | { kind: 'relation'; relation: Relation }
  | { kind: 'insert'; oid: number; row: Tuple }
  | {
      kind: 'update';
      oid: number;
      /** The old key or the complete old row; null if the key did not change. */
      old: Tuple | null;
      oldIsKey: boolean;
      row: Tuple;
    }
  | { kind: 'delete'; oid: number; old: Tuple; oldIsKey: boolean }
  | { kind: 'truncate'; oids: number[] }
  | { kind: 'other' };

/** Microseconds from 1970 to 2000, the epoch of Postgres timestamps. */
const EPOCH_US = 946_684_800_000_000n;

/** Converts a time of the replication protocol to ISO 8601 with microseconds. */
function timeOf(microseconds: bigint): string {
  const us = microseconds + EPOCH_US;
  const seconds = us / 1_000_000n;
  const rest = String(us % 1_000_000n).padStart(6, '0');
  return `${new Date(Number(seconds) * 1000).toISOString().slice(0, 19)}.${rest}Z`;
}

class Cursor {
  readonly bytes: Buffer;
  at: number;

  constructor(bytes: Buffer, at: number) {
    this.bytes = bytes;
    this.at = at;
  }

  byte(): number {
    return this.bytes[this.at++] as number;
  }

  int16(): number {
    this.at += 2;
    return this.bytes.readInt16BE(this.at - 2);
  }

  int32(): number {
    this.at += 4;
    return this.bytes.readInt32BE(this.at - 4);
  }

  uint32(): number {
    this.at += 4;
    return this.bytes.readUInt32BE(this.at - 4);
  }

  int64(): bigint {
    this.at += 8;
    return this.bytes.readBigInt64BE(this.at - 8);
  }

  text(): string {
    const end = this.bytes.indexOf(0, this.at);
    const text = this.bytes.toString('utf8', this.at, end);
    this.at = end + 1;
    return text;
  }

  tuple(): Tuple {
    const count = this.int16();
    const kinds: number[] = new Array(count);
    const from: number[] = new Array(count);
    const to: number[] = new Array(count);
    for (let i = 0; i < count; i++) {
      const kind = this.byte();
      kinds[i] = kind;
      from[i] = this.at;
      if (kind === TEXT) {
        const length = this.int32();
        from[i] = this.at;
        this.at += length;
      }
      to[i] = this.at;
    }
    return { bytes: this.bytes, kinds, from, to };
  }
}

const KEY = 0x4b;
const OLD = 0x4f;

/** Decodes the message that begins at `at`. */
export function decode(bytes: Buffer, at: number): Message {
  const cursor = new Cursor(bytes, at);
  switch (String.fromCharCode(cursor.byte())) {
    case 'B':
      return { kind: 'begin', commitLsn: cursor.int64(), committedAt: timeOf(cursor.int64()) };
    case 'C':
      cursor.byte();
      return { kind: 'commit', commitLsn: cursor.int64(), endLsn: cursor.int64() };
    case 'R':
      return { kind: 'relation', relation: relation(cursor) };
    case 'I': {
      const oid = cursor.uint32();
      cursor.byte();
      return { kind: 'insert', oid, row: cursor.tuple() };
    }
    case 'U': {
      const oid = cursor.uint32();
      const first = cursor.byte();
      const old = first === KEY || first === OLD ? cursor.tuple() : null;
      if (old) cursor.byte();
      return { kind: 'update', oid, old, oldIsKey: first === KEY, row: cursor.tuple() };
    }
    case 'D': {
      const oid = cursor.uint32();
      const oldIsKey = cursor.byte() === KEY;
      return { kind: 'delete', oid, old: cursor.tuple(), oldIsKey };
    }
    case 'T': {
      const count = cursor.int32();
      cursor.byte();
      return { kind: 'truncate', oids: Array.from({ length: count }, () => cursor.uint32()) };
    }
    default:
      return { kind: 'other' };
  }
}

function relation(cursor: Cursor): Relation {
  const oid = cursor.uint32();
  const namespace = cursor.text();
  const name = cursor.text();
  const identity = String.fromCharCode(cursor.byte());
  const columns = Array.from({ length: cursor.int16() }, () => {
    const key = (cursor.byte() & 1) === 1;
    return { key, name: cursor.text(), typeOid: cursor.uint32(), modifier: cursor.int32() };
  });
  return { oid, namespace, name, identity, columns };
}
