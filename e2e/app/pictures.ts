import { mkdirSync } from 'node:fs';
import path from 'node:path';
import AxeBuilder from '@axe-core/playwright';
import { expect } from '@playwright/test';
import type { SettingsChange } from '@tidemark/electron/contract/settings';
import { ROOT } from '../../scripts/app.ts';
import type { App } from './app.ts';

const FOLDER = path.join(ROOT, 'screenshots');
const SIZES = [
  [1280, 800],
  [1024, 614],
] as const;

/** Changes settings with the same call as the settings screen. */
export async function set(app: App, change: SettingsChange): Promise<void> {
  const reply = await app.page.evaluate(`window.tidemark.call('settings.set', ${JSON.stringify(change)})`);
  expect(reply).toMatchObject({ ok: true });
}

/** Takes pictures in light and dark, at the usual and the smallest window size, and runs axe in both schemes. */
export async function takePictures(app: App, name: string, code?: string): Promise<void> {
  if (code !== undefined) await expect(app.card(code)).toBeVisible();
  mkdirSync(FOLDER, { recursive: true });
  // Otherwise the picture would show the tooltip under the pointer.
  await app.page.mouse.move(1, 1);
  for (const theme of ['light', 'dark'] as const) {
    await set(app, { theme });
    await expect(app.page.locator(`html[data-mantine-color-scheme=${theme}]`)).toBeAttached();
    for (const [width, height] of SIZES) {
      await app.resize(width, height);
      await expect.poll(() => app.page.evaluate('window.innerWidth')).toBe(width);
      await app.page.screenshot({ path: path.join(FOLDER, `${name}-${theme}-${width}.png`), animations: 'disabled' });
      const wide = await app.page.evaluate('document.documentElement.scrollWidth - window.innerWidth');
      expect(wide, 'the page does not scroll sideways').toBeLessThanOrEqual(0);
    }
    const { violations } = await new AxeBuilder({ page: app.page }).setLegacyMode(true).analyze();
    expect(
      violations.map(({ id, nodes }) => `${name} ${theme}: ${id}: ${nodes.map(({ html }) => html).join(' ')}`),
    ).toEqual([]);
  }
  if (code !== undefined) await expect(app.card(code)).toBeVisible();
}
