/** Replaces the window's content if a browser opens the page instead of the app. */
export function NoApp() {
  return (
    <main style={{ padding: 32 }}>
      <h1>Tidemark</h1>
      <p>This page works only inside the Tidemark desktop app. Start Tidemark from your list of programs.</p>
    </main>
  );
}
