/** Shown when the page is opened outside the desktop app. */
export function NoApp() {
  return (
    <main style={{ padding: 32 }}>
      <h1>Tidemark</h1>
      <p>This page works only inside the Tidemark desktop app. Start Tidemark from your list of programs.</p>
    </main>
  );
}
