import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { PAGES, ROOT } from './pages.ts';

/** `npm run docs`: writes the reference pages that are generated from the code. */

for (const [file, page] of Object.entries(PAGES)) {
  mkdirSync(path.dirname(path.join(ROOT, file)), { recursive: true });
  writeFileSync(path.join(ROOT, file), await page());
  console.log(file);
}
