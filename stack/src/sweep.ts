import { join } from 'node:path';
import { rmSync } from 'node:fs';
import { FACTS_FILE } from './facts.js';
import { endLeftovers } from './leftovers.js';

/** What the guard becomes once its supervisor is gone: `node sweep.js <data folder> <run id>`. */
const [, , dataDir, runId] = process.argv;
if (dataDir === undefined || runId === undefined) {
  process.exitCode = 2;
} else {
  const at = (...parts: string[]): string => join(dataDir, ...parts);
  rmSync(at(FACTS_FILE), { force: true });
  await endLeftovers({ path: dataDir, at }, runId);
}
