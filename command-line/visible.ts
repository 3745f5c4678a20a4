/**
 * Makes text from outside safe to print on a console. An argument, or a name in a file, may contain control characters
 * that move the cursor, and characters that are invisible or change the direction of writing. They are shown as escape
 * sequences such as `\u202e`, so that a person sees every character.
 */

/** A character that is not visible: control, format and unassigned characters, line separators, blanks but the space. */
export const INVISIBLE = /[\p{C}\p{Zl}\p{Zp}]|[^\P{Zs} ]/u;
const EACH_INVISIBLE = new RegExp(INVISIBLE, 'gu');

/** Returns the text with invisible characters as escape sequences. Inside a JSON string, the text keeps its meaning. */
export const visible = (text: string): string =>
  text.replace(EACH_INVISIBLE, (character) =>
    Array.from(
      { length: character.length },
      (_, at) => `\\u${character.charCodeAt(at).toString(16).padStart(4, '0')}`,
    ).join(''),
  );

/** Longest part of a text that {@link quoted} repeats, in characters. */
const LONGEST_SHOWN = 60;

/** Returns the beginning of the text in quotes, for a message. */
export function quoted(text: string): string {
  const characters = [...text];
  const shown = characters.length > LONGEST_SHOWN ? `${characters.slice(0, LONGEST_SHOWN).join('')}…` : text;
  return visible(JSON.stringify(shown));
}
