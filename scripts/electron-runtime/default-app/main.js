// Loads the app that the command line names. Electron's usual default app does this, but the carried Electron does not
// have one.
const { readFileSync } = require('node:fs');
const Module = require('node:module');
const path = require('node:path');
const { app } = require('electron');

const named = process.argv.slice(1).find((argument) => !argument.startsWith('-'));
if (named === undefined) {
  console.error('usage: electron <folder of an app> [argument…]');
  process.exit(2);
}
const folder = path.resolve(named);
const about = JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8'));
app.setName(about.productName ?? about.name);
app.setVersion(about.version);
app.setAppPath(folder);
if (!app.commandLine.hasSwitch('user-data-dir'))
  app.setPath('userData', path.join(app.getPath('appData'), app.getName()));
Module._load(path.join(folder, about.main), Module, true);
