// Plain on purpose: it must work where the window's own page did not.
document.getElementById('reload').addEventListener('click', () => location.replace('./'));
document.getElementById('restart').addEventListener('click', () => {
  void window.tidemark.call('app.restart', {});
});
