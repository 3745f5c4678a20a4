/**
 * Recognises constants of relay.yaml that look like an operator, a pattern or a list of another query language. A filter
 * compares values for equality only, so such a constant would be compared as text and would select no rows. The person
 * who means the text itself writes `{ equals: … }`, which is never read as anything else.
 *
 * A constant that is recognised wrongly costs one correction, which the message names. A constant that is not recognised
 * leaves terminals without rows, and nothing reports it. So the patterns err towards recognising too much.
 */

const VERBATIM = 'For this text itself, write { equals: … }, with the text in quotes';

const LOOKS_LIKE: readonly [pattern: RegExp, name: string, remedy: string][] = [
  [/^null$/i, 'NULL', 'For NULL, write null without quotes'],
  [
    /^(?:[!<>=~^]|is\s+(?:not\s+)?null$|not\s|in\s*\(|i?like\s|between\s|similar\s+to\s)/i,
    'an operator',
    'Filters compare for equality only',
  ],
  [/^\/.+\/[a-z]*$/, 'a regular expression', 'Filters compare for equality only'],
  [/[*%?]/, 'a pattern', 'Filters compare for equality only'],
  [/\.\.|^\d+\s*-\s*\d+$/, 'a range', 'List each value, as [a, b]'],
  [/[,;|]/, 'a list', 'Write a list of constants as [a, b]'],
];
/** Year and month, which a range of numbers would otherwise include. */
const YEAR_AND_MONTH = /^\d{4}-(?:0[1-9]|1[0-2])$/;

/** Returns a sentence that names the resemblance and the remedy, or null if the constant is plain text. */
export function operatorLike(text: string): string | null {
  if (YEAR_AND_MONTH.test(text)) return null;
  const trimmed = text.trim();
  const [, name, remedy] = LOOKS_LIKE.find(([pattern]) => pattern.test(trimmed)) ?? [];
  return name === undefined ? null : `${JSON.stringify(text)} looks like ${name}. ${remedy}. ${VERBATIM}`;
}
