import { describe, expect, test } from 'vitest';
import { SCREENS, ScreenId } from './screens.ts';
import { type KeyPress, keyCaps, matchesAccelerator, SHORTCUTS } from './shortcuts.ts';

const press = (key: string, modifiers: Partial<KeyPress> = {}): KeyPress => ({
  key,
  ctrlKey: false,
  shiftKey: false,
  altKey: false,
  metaKey: false,
  ...modifiers,
});

describe('matching an accelerator', () => {
  test.each([
    ['F5', press('F5')],
    ['Shift+F5', press('F5', { shiftKey: true })],
    ['CmdOrCtrl+F5', press('F5', { ctrlKey: true })],
    ['CmdOrCtrl+,', press(',', { ctrlKey: true })],
    ['Esc', press('Escape')],
  ])('%s matches its own key press', (accelerator, event) => {
    expect(matchesAccelerator(accelerator, event)).toBe(true);
  });
});

describe('rejecting other keys', () => {
  test.each([
    ['F5', 'with an additional modifier', press('F5', { shiftKey: true })],
    ['F5', 'with Alt', press('F5', { altKey: true })],
    ['CmdOrCtrl+1', 'without its modifier', press('1')],
    ['CmdOrCtrl+1', 'with another key', press('2', { ctrlKey: true })],
  ])('%s does not match a key press %s', (accelerator, _, event) => {
    expect(matchesAccelerator(accelerator, event)).toBe(false);
  });
});

test('key caps use the labels printed on a keyboard', () => {
  expect(keyCaps('CmdOrCtrl+Plus')).toEqual(['Ctrl', '+']);
  expect(keyCaps('Shift+F5')).toEqual(['Shift', 'F5']);
});

test('no two screens or shortcuts share an accelerator', () => {
  const all = [...SCREENS, ...Object.values(SHORTCUTS)].map(({ accelerator }) => accelerator);
  expect(new Set(all).size).toBe(all.length);
});

test('ScreenId accepts the id of every screen and no other', () => {
  for (const { id } of SCREENS) expect(ScreenId.parse(id)).toBe(id);
  expect(ScreenId.safeParse('nowhere').success).toBe(false);
});
