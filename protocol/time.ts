import { z } from 'zod';

/**
 * Times. In memory a time is a number: milliseconds since 1970-01-01 UTC. It becomes text only where it leaves memory:
 * on the wire, in files, in JSON output, in SQL, on a screen. A schema for such text uses {@link TimeText}, which
 * decodes it into the number and encodes it back. A schema for data in memory uses {@link Time}.
 *
 * Commit times of the master are the exception. When they are stored or passed on, they remain the text that the feed
 * sent, because milliseconds would lose the master's microseconds.
 */

/**
 * A time in memory: milliseconds since 1970-01-01 UTC, in the years 0000 to 9999, so that it can be written as text.
 */
export const Time = z.number().min(-62_167_219_200_000).max(253_402_300_799_999);
export type Time = z.infer<typeof Time>;

/** A time as text, ISO 8601 in UTC. Decodes to {@link Time} and cuts off fractions finer than milliseconds. */
export const TimeText = z.codec(z.iso.datetime(), Time, {
  decode: (text) => Date.parse(text),
  encode: (ms) => new Date(ms).toISOString(),
});

/** Returns the schema of a time: `shapeOf(Time)` in memory, `shapeOf(TimeText)` as text. */
export type TimeSchema = typeof Time | typeof TimeText;
