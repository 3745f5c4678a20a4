// Uses nothing of the page's code, which may be what failed.
document.getElementById('reload').addEventListener('click', () => location.replace('./'));
document.getElementById('restart').addEventListener('click', () => {
  void window.tidemark.call('app.restart', {});
});
