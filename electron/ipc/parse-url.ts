/** An address in its parts; null when it is none. (`URL.parse` is not in the oldest Node that an Electron of ours carries.) */
export function parseUrl(address: string): URL | null {
  return URL.canParse(address) ? new URL(address) : null;
}

/** Scheme and host. `URL.origin` says "null" for a scheme of one's own. */
export function originOf(address: string): string | null {
  const url = parseUrl(address);
  return url && `${url.protocol}//${url.host}`;
}
