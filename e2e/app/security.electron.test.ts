import { expect, test } from './fixtures.ts';

/** Verifies the items of Electron's security checklist from inside the page. */
test('the page has no Node API, cannot navigate away, gets no permission and loads nothing from the network', async ({
  launch,
}) => {
  const app = await launch(null);
  await expect(app.page.getByTestId('first-run')).toBeVisible();
  const page = app.page;
  expect(page.url()).toBe('app://tidemark/');
  expect(await page.evaluate('[typeof require, typeof process, typeof module, typeof Buffer]')).toEqual(
    new Array(4).fill('undefined'),
  );
  expect(await page.evaluate('Object.keys(window.tidemark).sort()')).toEqual(['call', 'on']);

  const preferences = await app.electron.evaluate(({ BrowserWindow, app: main, session }) => {
    const contents = BrowserWindow.getAllWindows()[0]?.webContents as unknown as {
      getLastWebPreferences(): Record<string, unknown>;
    };
    const { sandbox, contextIsolation, nodeIntegration, webSecurity, webviewTag } = contents.getLastWebPreferences();
    return {
      preferences: { sandbox, contextIsolation, nodeIntegration, webSecurity, webviewTag },
      insecure: session.defaultSession.isPersistent() && main.isReady() ? 'ready' : 'not ready',
    };
  });
  expect(preferences.preferences).toMatchObject({ contextIsolation: true, nodeIntegration: false, webSecurity: true });

  const csp = await page.evaluate("fetch('./').then((answer) => answer.headers.get('content-security-policy'))");
  expect(csp).toContain("default-src 'none'");
  expect(csp).toContain("script-src 'self'");
  expect(csp).not.toContain('unsafe-eval');
  expect(await page.evaluate("fetch('../../package.json').then((answer) => answer.status)")).toBe(404);
  expect(await page.evaluate("fetch('https://example.com/').then(() => 'reached', () => 'refused')")).toBe('refused');
  expect(
    await page.evaluate(
      "new Promise((done) => setTimeout(() => { try { done(eval('1')) } catch { done('refused') } }))",
    ),
  ).toBe('refused');

  await page.evaluate("location.assign('https://example.com/')");
  await page.evaluate("window.open('https://example.com/')");
  expect(page.url()).toBe('app://tidemark/');
  expect(await app.electron.evaluate(({ BrowserWindow }) => BrowserWindow.getAllWindows().length)).toBe(1);
  expect(
    await page.evaluate("navigator.permissions.query({ name: 'notifications' }).then((answer) => answer.state)"),
  ).toBe('denied');
  expect(
    await page.evaluate(
      "new Promise((done) => navigator.geolocation.getCurrentPosition(() => done('given'), () => done('refused')))",
    ),
  ).toBe('refused');
});

test('rejects invalid calls with an error code and changes nothing', async ({ launch }) => {
  const app = await launch(null);
  await expect(app.page.getByTestId('first-run')).toBeVisible();
  const call = (method: string, input: unknown) =>
    app.page.evaluate(`window.tidemark.call(${JSON.stringify(method)}, ${JSON.stringify(input)})`);
  expect(await call('app.eval', {})).toMatchObject({ ok: false, fault: { code: 'request_invalid' } });
  expect(await call('sync.start', { mode: 'everything' })).toMatchObject({
    ok: false,
    fault: { code: 'request_invalid' },
  });
  expect(await call('settings.set', { relayUrl: 'file:///etc/passwd', everyMinutes: 7 })).toMatchObject({
    ok: false,
    fault: { code: 'settings_invalid', params: { detail: expect.stringMatching(/relayUrl.*everyMinutes/s) } },
  });
  expect(await call('sync.start', { mode: 'now' })).toMatchObject({ ok: false, fault: { code: 'not_configured' } });
  const state = (await call('state.get', {})) as { value: { settings: { relayUrl: string } } };
  expect(state.value.settings.relayUrl).toBe('');
});

test('another frame has no access to the bridge', async ({ launch }) => {
  const app = await launch(null);
  await expect(app.page.getByTestId('first-run')).toBeVisible();
  const framed = await app.page.evaluate(`new Promise((done) => {
    const frame = document.createElement('iframe');
    frame.src = './recovery.html';
    frame.onload = () => done(frame.contentWindow.tidemark ? 'has a bridge' : 'has none');
    frame.onerror = () => done('refused');
    document.body.append(frame);
    setTimeout(() => done('refused'), 3000);
  })`);
  expect(['has none', 'refused']).toContain(framed);
});
