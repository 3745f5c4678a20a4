import { existsSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { shapeOf, TRAY_SHAPES } from './tray-shape.ts';

const FOLDER = path.resolve(import.meta.dirname, '../../icons/tray');

test.each(TRAY_SHAPES)('the icon "%s" has an image for each scale factor', (shape) => {
  for (const scale of ['', '@1.25x', '@1.5x', '@2x'])
    expect(existsSync(path.join(FOLDER, `${shape}${scale}.png`)), `${shape}${scale}`).toBe(true);
});

test('a pause and a missing network each have their own icon', () => {
  expect(shapeOf('info', 'paused')).toBe('paused');
  expect(shapeOf('warn', 'offline')).toBe('outline');
});

test('the icon of every other status depends only on its severity', () => {
  expect(shapeOf('ok', 'up-to-date')).toBe('plain');
  expect(shapeOf('info', 'behind')).toBe('plain');
  expect(shapeOf('busy', 'syncing')).toBe('busy');
  expect(shapeOf('warn', 'stale')).toBe('warn');
  expect(shapeOf('error', 'failed')).toBe('error');
  expect(shapeOf('unknown', 'starting')).toBe('outline');
});
