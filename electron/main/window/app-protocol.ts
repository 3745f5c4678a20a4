import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { protocol, type Session } from 'electron';
import { originOf, parseUrl } from '../../ipc/parse-url.ts';
import { cspHeader } from './csp.ts';

/** The scheme of the window's page. The app never loads a page from file: or from the network. */
export const SCHEME = 'app';
export const ORIGIN = 'app://tidemark';

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.woff2': 'font/woff2',
  '.json': 'application/json',
};

/** Registers the scheme. Must run before the app is ready. */
export function registerScheme(): void {
  protocol.registerSchemesAsPrivileged([
    { scheme: SCHEME, privileges: { standard: true, secure: true, supportFetchAPI: true, codeCache: true } },
  ]);
}

/** Serves `folder` as app://tidemark/ in a session. Answers 404 for everything except the page's files. */
export function serveFolder(session: Session, folder: string): void {
  session.protocol.handle(SCHEME, async (request) => {
    const file = request.method === 'GET' ? fileOf(request.url, folder) : null;
    if (file === null) return refused(404);
    try {
      return new Response(new Uint8Array(await readFile(file.path)), {
        headers: { ...HEADERS, 'Content-Type': file.type },
      });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return refused(404);
      throw error;
    }
  });
}

const HEADERS: Readonly<Record<string, string>> = {
  'Content-Security-Policy': cspHeader(),
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Cache-Control': 'no-cache',
};

const refused = (status: number) => new Response(null, { status, headers: HEADERS });

/**
 * Returns the file for an address. Returns null for another host, a path outside `folder`, and file types that the page
 * does not use.
 */
export function fileOf(address: string, folder: string): { path: string; type: string } | null {
  const url = parseUrl(address);
  if (url === null || originOf(address) !== ORIGIN) return null;
  let name: string;
  try {
    name = decodeURIComponent(url.pathname);
  } catch {
    return null;
  }
  if (name.includes('\0') || name.includes('\\')) return null;
  const file = path.join(folder, name === '/' ? 'index.html' : name);
  const within = path.relative(folder, file);
  if (within === '' || within.startsWith('..') || path.isAbsolute(within)) return null;
  const type = TYPES[path.extname(file)];
  return type === undefined ? null : { path: file, type };
}
