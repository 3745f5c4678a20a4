import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { ROOT } from '../app.ts';
import { BIOME_FILE, biomeConfig } from './biome-overrides.ts';

/** `npm run import-rules`: writes the table of allowed imports into biome.json. */

writeFileSync(BIOME_FILE, biomeConfig());
const biome = path.join(ROOT, 'node_modules/@biomejs/biome/bin/biome');
spawnSync(process.execPath, [biome, 'format', '--write', BIOME_FILE], { cwd: ROOT, stdio: 'inherit' });
