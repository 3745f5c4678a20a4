import { CODINGS, type Coding } from '../pages/page-cache.ts';

/** The best coding that an Accept-Encoding header allows; without one, `identity`. */
export function chooseCoding(accept: string | undefined): Coding {
  if (!accept) return 'identity';
  const wanted = new Set(
    accept
      .split(',')
      .flatMap((item) => (/;\s*q=0(\.0*)?\s*$/.test(item) ? [] : [(item.split(';')[0] ?? '').trim().toLowerCase()])),
  );
  return CODINGS.find((coding) => wanted.has(coding)) ?? 'identity';
}
