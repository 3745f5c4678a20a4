/** Why a text is not a relay address; null when it is one. */
export function relayUrlProblem(text: string): string | null {
  if (text === '') return 'Enter the address of the relay, such as https://relay.example.com';
  if (!/^https?:\/\//i.test(text)) return 'The address begins with http:// or https://';
  if (/\s/.test(text)) return 'The address holds a space';
  if (!URL.canParse(text)) return 'This is not an address';
  const { username, password, search, hash } = new URL(text);
  if (username || password) return 'The key has its own field; leave it out of the address';
  if (search || hash) return 'The address ends before ? and #';
  return null;
}

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
