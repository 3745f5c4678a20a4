import { readdirSync } from 'node:fs';
import path from 'node:path';
import { APP } from '../../scripts/app.ts';
import { expect, test } from './fixtures.ts';

test('the build contains every tray icon at every scale factor', async ({ launch }) => {
  const names = readdirSync(path.join(APP, 'icons/tray')).filter((name) => !name.includes('@'));
  expect(names.length).toBeGreaterThan(0);
  const app = await launch(null);
  for (const name of names) {
    const found = await app.electron.evaluate(({ app: main, nativeImage }, file) => {
      const image = nativeImage.createFromPath(`${main.getAppPath()}/out/tray/${file}`);
      return { size: image.getSize(), scaleFactors: image.getScaleFactors().sort() };
    }, name);
    expect(found, name).toEqual({ size: { width: 16, height: 16 }, scaleFactors: [1, 1.25, 1.5, 2] });
  }
});
