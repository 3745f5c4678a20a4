// @vitest-environment happy-dom
import { cleanup, screen, within } from '@testing-library/react';
import type { TableRow } from '@tidemark/electron/contract/contract';
import { deriveStatus } from '@tidemark/status/derive';
import type { Facts } from '@tidemark/status/facts';
import { anyFacts, nearlyUpToDate } from '@tidemark/testing/arbitrary-facts';
import { NOW } from '@tidemark/testing/facts';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { StatusBar } from '../shell/status-bar.tsx';
import { useWindowTitle } from '../shell/use-window-title.ts';
import { renderApp } from '../testing.tsx';
import { SyncScreen } from './sync-screen.tsx';

/**
 * Renders the home screen, the status bar and the window's title from one set of facts, and compares the statements that
 * a person reads there. The table list and the chart get the answers that an agent could give at that moment, or an
 * earlier one.
 */

function Window() {
  useWindowTitle();
  return (
    <div data-testid="window">
      <SyncScreen />
      <StatusBar />
    </div>
  );
}

/** Everything on the window that states a fact. */
interface Shown {
  code: string;
  severity: string;
  card: string;
  hops: { state: string; text: string; broken: boolean }[];
  waiting: { value: string; sub: string };
  tables: string[];
  bar: string;
  title: string;
  all: string;
}

const textOf = (element: Element | null | undefined) => element?.textContent ?? '';

async function show(given: Facts, rows: TableRow[]): Promise<Shown | null> {
  const { store } = renderApp(<Window />, {
    facts: given,
    answers: {
      'tables.list': () => ({ ok: true, value: rows }),
      'lag.list': () => ({ ok: true, value: [] }),
    },
  });
  try {
    const { code, severity } = deriveStatus(given, NOW);
    expect(store.getState().app?.status.code).toBe(code);
    // Before the set-up, the assistant replaces the home screen.
    if (code === 'setup') return null;
    if (rows.length > 0) await screen.findAllByTestId('table');
    const tile = screen.getByTestId('tile-waiting');
    const [, value, sub] = [...tile.children];
    const tables = screen.queryAllByTestId('table').map((row) => textOf(row.querySelectorAll('td')[2]));
    const hops = within(screen.getByTestId('pipeline'))
      .getAllByRole('group', { name: /^From / })
      .map((hop) => ({
        state: hop.getAttribute('data-severity') ?? '',
        text: textOf(hop),
        broken: hop.hasAttribute('data-broken'),
      }));
    return {
      ...{ code, severity, hops, tables },
      card: textOf(screen.getByTestId('status-card')),
      waiting: { value: textOf(value), sub: textOf(sub) },
      bar: textOf(document.querySelector('footer')),
      title: document.title,
      all: textOf(screen.getByTestId('window')),
    };
  } finally {
    cleanup();
  }
}

const numberIn = (text: string): number | null => {
  const [digits] = /\d[\d,]*/.exec(text) ?? [];
  return digits === undefined ? null : Number(digits.replaceAll(',', ''));
};

/** Asserts that no two statements contradict each other. */
function expectOneTruth(shown: Shown): void {
  const { code, severity, card, hops, waiting, tables, bar, title, all } = shown;
  const [source, own] = hops;
  if (!source || !own) throw new Error('a hop is missing');

  // No green hop under a red card, and none of which data cannot pass.
  if (severity === 'error') expect(hops.map(({ state }) => state)).not.toContain('ok');
  for (const hop of hops) if (hop.broken) expect(hop.state).not.toBe('ok');

  // 'Up to date' in green excludes every doubt.
  if (code === 'up-to-date') {
    expect(waiting).toEqual({ value: '0', sub: 'Nothing waiting' });
    expect(hops.map(({ state }) => state)).toEqual(['ok', 'ok']);
    expect(new Set(tables)).toEqual(new Set(tables.length === 0 ? [] : ['0']));
    expect(all).not.toMatch(/Unknown|not known/);
  }
  if (own.text === 'Up to date') expect([waiting.value, code]).toEqual(['0', 'up-to-date']);

  // The number of waiting changes: one value, in the tile, the bar, the tables, the hop and the title.
  const count = /^\d[\d,]*$/.test(waiting.value) ? numberIn(waiting.value) : null;
  if (count === null) {
    expect(bar).not.toMatch(/▼/);
    expect(title).not.toMatch(/\d waiting/);
    expect(tables.filter((each) => /\d/.test(each))).toEqual([]);
    expect(`${card} ${bar} ${own.text}`).not.toMatch(/(?<![\d,])0 (changes )?waiting/);
  } else {
    if (bar.includes('▼')) expect(numberIn(bar.slice(bar.indexOf('▼')))).toBe(count);
    if (/\d waiting/.test(title)) expect(numberIn(title)).toBe(count);
    if (/^\d.* waiting/.test(own.text)) expect(numberIn(own.text)).toBe(count);
    const [, inCard] = /([\d,]+) changes? waiting/.exec(card) ?? [];
    if (inCard !== undefined) expect(numberIn(inCard)).toBe(count);
    if (count === 0) expect(tables.filter((each) => each !== '0')).toEqual([]);
  }
  if (waiting.value === 'Unknown') expect(tables.filter((each) => each !== 'Unknown')).toEqual([]);
  if (waiting.value === '0') expect(own.text).not.toMatch(/Unknown|\d waiting/);

  // One time up to which the data is current.
  const times = [
    ...all.matchAll(/(?:[Dd]ata as of|Up to date as of|As of) ((?:yesterday |\d+ \w+ (?:\d{4} )?)?\d\d:\d\d)/g),
  ];
  const [, tile] = /Data as of((?:yesterday |\d+ \w+ (?:\d{4} )?)?\d\d:\d\d)/.exec(all) ?? [];
  expect(new Set([...times.map(([, time]) => time), ...(tile === undefined ? [] : [tile])]).size).toBeLessThanOrEqual(
    1,
  );

  // A check that is mentioned took place.
  if (all.includes('Not checked yet')) expect(all).not.toMatch(/Last checked|last answered|Not checked since/);
}

const count = fc.oneof(fc.nat(3), fc.nat(1_000_000));
const rows: fc.Arbitrary<TableRow[]> = fc.array(
  fc.record({
    name: fc.constantFrom('orders', 'price', 'stock'),
    rows: fc.option(count, { nil: null, freq: 3 }),
    waiting: fc.option(count, { nil: null, freq: 3 }),
    lastChangeAt: fc.constant(null),
    setAside: fc.constant(null),
  }),
  { maxLength: 3 },
);
const unique = rows.map((list) => [...new Map(list.map((row) => [row.name, row])).values()]);

test('no two places of the home screen contradict each other, for any facts', async () => {
  const codes = new Set<string>();
  await fc.assert(
    fc.asyncProperty(fc.oneof(anyFacts, nearlyUpToDate), unique, async (given, list) => {
      const shown = await show(given, list);
      if (shown === null) return;
      codes.add(shown.code);
      expectOneTruth(shown);
    }),
    { numRuns: 60 },
  );
  expect(codes.size).toBeGreaterThan(5);
});
