/** Checks of typed text before it is sent, each with its reason in words. The app checks everything again when it saves. */

/** Why a text is not the name of a data set (a feed); null when it is one. */
export function feedProblem(text: string): string | null {
  if (text === '') return 'Enter the name of the data set. Ask your administrator for it';
  return /^[a-z][a-z0-9_-]{0,39}$/.test(text)
    ? null
    : 'Use lower-case letters, digits, _ and -, up to 40, and start with a letter';
}

/** Why a text cannot be a key; null when it can. */
export function tokenProblem(text: string): string | null {
  if (text.trim() === '') return 'Paste the key you got from your administrator';
  if (text.trim().length > 500) return 'This is too long for a key';
  return /\s/.test(text.trim()) ? 'Keys have no spaces. Paste the key again' : null;
}

/** Why a text cannot be a display name; null when it can. */
export function nameProblem(text: string): string | null {
  return text.length > 60 ? 'Use at most 60 characters' : null;
}
