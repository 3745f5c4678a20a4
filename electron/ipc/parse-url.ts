/** Parses a URL; null when it is not one. (`URL.parse` is not in the Node of the oldest Electron that we support.) */
export function parseUrl(address: string): URL | null {
  return URL.canParse(address) ? new URL(address) : null;
}

/** Scheme and host. `URL.origin` is "null" for custom schemes. */
export function originOf(address: string): string | null {
  const url = parseUrl(address);
  return url && `${url.protocol}//${url.host}`;
}
