#!/usr/bin/env node
import { existsSync } from 'node:fs';

const main = new URL('../dist/main.js', import.meta.url);
if (existsSync(main)) await (await import(main.href)).main();
else {
  console.error('postern is not built yet. In the checkout, type: npm ci && npx tsc -b');
  process.exitCode = 1;
}
