/** Why a text is not a feed's name; null when it is one. */
export function feedProblem(text: string): string | null {
  if (text === '') return 'Enter the name of the feed; your administrator knows it';
  return /^[a-z][a-z0-9_-]{0,39}$/.test(text)
    ? null
    : 'A feed name has 1 to 40 characters a-z 0-9 _ - and begins with a letter';
}

/** Why a text is not a key; null when it may be one. */
export function tokenProblem(text: string): string | null {
  if (text.trim() === '') return 'Paste the key that your administrator gave you';
  if (text.trim().length > 500) return 'This is too long for a key';
  return /\s/.test(text.trim()) ? 'A key holds no spaces; paste it as one piece' : null;
}

/** Why a text can't be a display name; null when it can. */
export function nameProblem(text: string): string | null {
  return text.length > 60 ? 'At most 60 characters' : null;
}
