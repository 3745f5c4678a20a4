/** Parses a URL. Returns null if it is invalid. The oldest supported Electron has no `URL.parse`. */
export function parseUrl(address: string): URL | null {
  return URL.canParse(address) ? new URL(address) : null;
}

/** Returns scheme and host of a URL. `URL.origin` is the string "null" for custom schemes. */
export function originOf(address: string): string | null {
  const url = parseUrl(address);
  return url && `${url.protocol}//${url.host}`;
}
