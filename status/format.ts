/**
 * Formats numbers, times and spans for people. It uses only Intl, so that it runs in a window, in Node and in the tray.
 * Every number has a text: NaN, infinities and times outside the range of Date do not throw.
 */

/**
 * The formats of one locale. Times and spans are in ms. `now` decides whether a moment is shown as a time of day or a
 * date.
 */
export interface Format {
  /** Formats a number: `1,284`. */
  count(value: number): string;
  /** Formats a number with its noun: `1,284 changes`, `1 change`. */
  counted(value: number, one: string, many?: string): string;
  /** Formats a number of bytes: `3.2 MB`. One MB is 10^6 bytes. */
  bytes(value: number): string;
  /** Formats a share: `12 %`. Never above 100. */
  percent(part: number, whole: number): string;
  /** Formats a moment: `10:42` today, `yesterday 17:05`, `21 Nov 17:05`. */
  moment(at: number, now: number): string;
  /** Formats a moment for use after a verb: `at 10:42`, `yesterday at 17:05`, `on 21 Nov at 17:05`. */
  at(at: number, now: number): string;
  /** Formats a moment in full, for tooltips and details: `21 November 2026 at 17:05:09`. */
  full(at: number): string;
  /** Formats a time of day to the second: `10:45:00`. */
  clock(at: number): string;
  /** Formats a day as a heading: `Today`, `Yesterday`, `Saturday 21 November`. */
  day(at: number, now: number): string;
  /** Formats a span: `35 s`, `12 min`, `2 h 27 min`, `3 d 4 h`. */
  span(ms: number): string;
  /** Formats a span in words, with one unit: `3 hours`. */
  words(ms: number): string;
  /** Formats the time left, rounded and in words: `about 2 minutes`, `less than 5 seconds`. */
  left(ms: number): string;
  /** Formats a countdown: `0:25`. */
  countdown(ms: number): string;
  /** Formats the time since a moment: `4 minutes ago`, `just now`. */
  ago(at: number, now: number): string;
}

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const BYTE_UNITS = ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte'] as const;
/** The largest time that Date can represent, ms. */
const LAST_MOMENT = 8.64e15;

const amount = (ms: number) => (Number.isFinite(ms) ? Math.max(0, ms) : 0);

/** Returns the formats of a locale. The time zone is the computer's unless `timeZone` is given. */
export function makeFormat(locale = 'en-GB', timeZone?: string): Format {
  const zone = timeZone === undefined ? {} : { timeZone };
  const date = (options: Intl.DateTimeFormatOptions) => new Intl.DateTimeFormat(locale, { ...zone, ...options });
  const number = new Intl.NumberFormat(locale, { maximumFractionDigits: 0 });
  const plural = new Intl.PluralRules(locale);
  const relative = new Intl.RelativeTimeFormat(locale, { numeric: 'always' });
  const minutes = date({
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  });
  const seconds = date({
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
    hourCycle: 'h23',
  });
  const dayMonth = date({ day: 'numeric', month: 'short' });
  const dayMonthYear = date({
    day: 'numeric',
    month: 'short',
    year: 'numeric',
  });
  const weekday = date({ weekday: 'long', day: 'numeric', month: 'long' });
  const full = date({ dateStyle: 'long', timeStyle: 'medium' });
  const dayKey = date({ year: 'numeric', month: '2-digit', day: '2-digit' });
  const year = date({ year: 'numeric' });
  const byteFormats = BYTE_UNITS.map((unit) =>
    [0, 1].map(
      (maximumFractionDigits) =>
        new Intl.NumberFormat(locale, {
          style: 'unit',
          unit,
          unitDisplay: unit === 'byte' ? 'long' : 'short',
          maximumFractionDigits,
        }),
    ),
  );
  const longUnit = (unit: string) =>
    new Intl.NumberFormat(locale, {
      style: 'unit',
      unit,
      unitDisplay: 'long',
      maximumFractionDigits: 0,
    });
  const units = {
    second: longUnit('second'),
    minute: longUnit('minute'),
    hour: longUnit('hour'),
    day: longUnit('day'),
  };

  const valid = (at: number) => Number.isFinite(at) && Math.abs(at) <= LAST_MOMENT;
  const sameDay = (a: number, b: number) => valid(a) && valid(b) && dayKey.format(a) === dayKey.format(b);
  const calendarDay = (at: number, now: number) =>
    valid(now) && year.format(at) === year.format(now) ? dayMonth.format(at) : dayMonthYear.format(at);
  const count = (value: number) => number.format(Number.isFinite(value) ? value : 0);

  function words(ms: number): string {
    const value = amount(ms);
    if (value < MINUTE) return units.second.format(Math.floor(value / SECOND));
    if (value < HOUR) return units.minute.format(Math.floor(value / MINUTE));
    if (value < 2 * DAY) return units.hour.format(Math.floor(value / HOUR));
    return units.day.format(Math.floor(value / DAY));
  }

  return {
    count,
    counted: (value, one, many = `${one}s`) => `${count(value)} ${plural.select(value) === 'one' ? one : many}`,
    bytes(value) {
      let rest = amount(value);
      let unit = 0;
      while (rest >= 999.5 && unit < BYTE_UNITS.length - 1) {
        rest /= 1000;
        unit += 1;
      }
      return byteFormats[unit]?.[unit > 0 && rest < 10 ? 1 : 0]?.format(rest) ?? '';
    },
    percent: (part, whole) => `${whole > 0 ? Math.min(100, Math.floor((100 * amount(part)) / whole)) : 0} %`,
    moment(at, now) {
      if (!valid(at)) return 'an unknown time';
      if (sameDay(at, now)) return minutes.format(at);
      if (sameDay(at, now - DAY)) return `yesterday ${minutes.format(at)}`;
      return `${calendarDay(at, now)} ${minutes.format(at)}`;
    },
    at(at, now) {
      if (!valid(at)) return 'at an unknown time';
      if (sameDay(at, now)) return `at ${minutes.format(at)}`;
      if (sameDay(at, now - DAY)) return `yesterday at ${minutes.format(at)}`;
      return `on ${calendarDay(at, now)} at ${minutes.format(at)}`;
    },
    full: (at) => (valid(at) ? full.format(at) : 'an unknown time'),
    clock: (at) => (valid(at) ? seconds.format(at) : 'an unknown time'),
    day(at, now) {
      if (!valid(at)) return 'Unknown day';
      if (sameDay(at, now)) return 'Today';
      if (sameDay(at, now - DAY)) return 'Yesterday';
      return year.format(at) === year.format(now) ? weekday.format(at) : dayMonthYear.format(at);
    },
    span(ms) {
      const value = amount(ms);
      if (value < MINUTE) return `${count(Math.floor(value / SECOND))} s`;
      if (value < HOUR) return `${count(Math.floor(value / MINUTE))} min`;
      const [big, small, unit, smallUnit] = value < 2 * DAY ? [HOUR, MINUTE, 'h', 'min'] : [DAY, HOUR, 'd', 'h'];
      const rest = Math.floor((value % big) / small);
      return rest === 0
        ? `${count(Math.floor(value / big))} ${unit}`
        : `${count(Math.floor(value / big))} ${unit} ${rest} ${smallUnit}`;
    },
    words,
    left(ms) {
      const value = amount(ms);
      if (value < 5 * SECOND) return `less than ${units.second.format(5)}`;
      if (value < MINUTE) return `about ${units.second.format(Math.ceil(value / (5 * SECOND)) * 5)}`;
      if (value < HOUR) return `about ${units.minute.format(Math.round(value / MINUTE))}`;
      return `about ${words(value)}`;
    },
    countdown(ms) {
      const left = Math.ceil(amount(ms) / SECOND);
      return `${Math.floor(left / 60)}:${String(left % 60).padStart(2, '0')}`;
    },
    ago(at, now) {
      if (!valid(at) || !valid(now)) return 'at an unknown time';
      const age = now - at;
      if (age < 10 * SECOND) return 'just now';
      if (age < MINUTE) return relative.format(-Math.floor(age / SECOND), 'second');
      if (age < HOUR) return relative.format(-Math.floor(age / MINUTE), 'minute');
      if (age < 2 * DAY) return relative.format(-Math.floor(age / HOUR), 'hour');
      return relative.format(-Math.floor(age / DAY), 'day');
    },
  };
}

/** The formats of English, this version's only language. */
export const FORMAT: Format = makeFormat();
