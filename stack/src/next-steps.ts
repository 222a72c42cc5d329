import type { DataFolder } from './data-folder.js';
import { DEMO_USER, LAMP, type Demo } from './demo.js';
import { shellWord, type Say } from './screen.js';
import type { Settings } from './settings.js';

/** What a newcomer types next, as it must be typed for this data folder. */
export function sayNextSteps(options: {
  settings: Settings;
  folder: DataFolder;
  demo: Demo;
  say: Say;
}): void {
  const { settings, folder, demo, say } = options;
  // With its folder named, the command finds this gateway's login among those of other copies.
  const command = `${settings.dataDirIsDefault && demo.isCurrent ? '' : `POSTERN_DATA_DIR=${shellWord(folder.path)} `}npx postern`;
  const steps = [`${command} gpio set ${LAMP} 12 1`, `${command} device show ${LAMP}`, `${command} --help`];
  if (!demo.loggedIn) {
    say(`The login of the user ${DEMO_USER} has ended. With the password of the first run:`);
    steps.unshift(`${command} login --username ${DEMO_USER}`);
  }
  say('');
  say('In another terminal, in this folder, type for example:');
  for (const step of steps) say(`  ${step}`);
  say('Ctrl-C here ends all of it.');
  say('');
}
