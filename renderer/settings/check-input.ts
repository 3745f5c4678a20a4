/** Validates entered text before the window sends it. The app validates it again before it saves. */

/** Returns why a text cannot name a data set (a feed), or null if it can. */
export function feedProblem(text: string): string | null {
  if (text === '') return 'Enter the name of the data set. Ask your administrator for it';
  return /^[a-z][a-z0-9_-]{0,39}$/.test(text)
    ? null
    : 'Use lower-case letters, digits, _ and -, up to 40, and start with a letter';
}

/** Returns why a text cannot be a key, or null if it can. */
export function tokenProblem(text: string): string | null {
  if (text.trim() === '') return 'Paste the key you got from your administrator';
  if (text.trim().length > 500) return 'This is too long for a key';
  return /\s/.test(text.trim()) ? 'Keys have no spaces. Paste the key again' : null;
}

/** Returns why a text cannot be a display name, or null if it can. */
export function nameProblem(text: string): string | null {
  return text.length > 60 ? 'Use at most 60 characters' : null;
}
