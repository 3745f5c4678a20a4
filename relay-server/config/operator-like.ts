/**
 * Recognises values that look like an operator, a pattern or a list of another query language: constants of relay.yaml,
 * and values of terminals' attributes. A filter compares values for equality only, so such a value would be compared as
 * text and would select no rows. The person who means the text itself writes it in a form that is never read as
 * anything else: `{ equals: … }` in relay.yaml, `--set-text` for an attribute.
 *
 * A value that is recognised wrongly costs one correction, which the message names. A value that is not recognised
 * leaves terminals without rows, and nothing reports it. So the patterns err towards recognising too much.
 */

/** The resemblance of a value, as it completes the sentence "… looks like …". */
export type Resemblance = 'NULL' | 'an operator' | 'a regular expression' | 'a pattern' | 'a range' | 'a list';

const LOOKS_LIKE: readonly [pattern: RegExp, name: Resemblance][] = [
  [/^null$/i, 'NULL'],
  [/^(?:[!<>=~^]|is\s+(?:not\s+)?null$|not\s|in\s*\(|i?like\s|between\s|similar\s+to\s)/i, 'an operator'],
  [/^\/.+\/[a-z]*$/, 'a regular expression'],
  [/[*%?]/, 'a pattern'],
  [/\.\.|^\d+\s*-\s*\d+$/, 'a range'],
  [/[,;|]/, 'a list'],
];
/** Year and month, which a range of numbers would otherwise include. */
const YEAR_AND_MONTH = /^\d{4}-(?:0[1-9]|1[0-2])$/;

/** Returns the resemblance of a text, or null if it is plain text. */
export function resemblanceOf(text: string): Resemblance | null {
  if (YEAR_AND_MONTH.test(text)) return null;
  const trimmed = text.trim();
  return LOOKS_LIKE.find(([pattern]) => pattern.test(trimmed))?.[1] ?? null;
}

const VERBATIM = 'For this text itself, write { equals: … }, with the text in quotes';

const REMEDIES: Record<Resemblance, string> = {
  NULL: 'For NULL, write null without quotes',
  'an operator': 'Filters compare for equality only',
  'a regular expression': 'Filters compare for equality only',
  'a pattern': 'Filters compare for equality only',
  'a range': 'List each value, as [a, b]',
  'a list': 'Write a list of constants as [a, b]',
};

/**
 * Checks a constant of relay.yaml. Returns a sentence that names the resemblance and the remedy, or null if the
 * constant is plain text.
 */
export function operatorLike(text: string): string | null {
  const name = resemblanceOf(text);
  return name === null ? null : `${JSON.stringify(text)} looks like ${name}. ${REMEDIES[name]}. ${VERBATIM}`;
}
