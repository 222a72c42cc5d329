import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Results } from '../results.js';
import { markdown } from './markdown.js';
import { picture } from './picture.js';

/** Writes `latest.json`, its schema, `latest.md` and `latest.svg`; returns the Markdown. */
export function writeReports(results: Results, schema: object, dir: string | null): string {
  const tables = markdown(results);
  if (dir === null) return tables;
  mkdirSync(dir, { recursive: true });
  const write = (name: string, text: string): void => {
    const path = join(dir, name);
    writeFileSync(`${path}.new`, text);
    renameSync(`${path}.new`, path);
  };
  write('latest.json', `${JSON.stringify(results, null, 1)}\n`);
  write('schema.json', `${JSON.stringify(schema, null, 2)}\n`);
  write('latest.md', tables);
  write('latest.svg', picture(results));
  return tables;
}
