#!/usr/bin/env node
// Writes the tables of settings into docs/operations.md, from the schemas that the programs validate with.
//
//   node scripts/config-table.mjs           writes them (build first)
//   node scripts/config-table.mjs --check   changes nothing; exit code 1 where they are not what the schemas say
import { readFileSync, writeFileSync } from 'node:fs';
import { describeSettings } from '../webserver/dist/index.js';
import { gatewayEnvironment } from '../stack/dist/gateway-settings.js';
import { describeStackSettings, readSettings } from '../stack/dist/settings.js';

const DOCUMENT = new URL('../docs/operations.md', import.meta.url);

const cell = (text) => text.replaceAll('|', '\\|');
const table = (head, rows) =>
  [head, head.map(() => '---'), ...rows].map((row) => `| ${row.map(cell).join(' | ')} |`).join('\n');
const code = (value) => (value === null ? '' : `\`${value}\``);

/** What of a person's settings reaches the gateway under `make run`: those that the supervisor does not replace. */
function replacedByTheStack(names) {
  const leaf = { certFile: 'stack', keyFile: 'stack' };
  const given = Object.fromEntries(names.map((name) => [name, 'person']));
  const result = gatewayEnvironment(
    {
      settings: readSettings({}, '/'),
      dataDir: 'stack',
      crlDir: 'stack',
      certificates: { gateway: leaf, https: leaf, brokerAuth: leaf },
      secrets: { keyFile: 'stack', tokenKeyFile: 'stack', managementPasswordFile: 'stack' },
      ports: { https: 1, mqtts: 2, amqps: 3 },
      httpsPort: 1,
      brokerAuthPort: 4,
      managementUrl: 'stack',
    },
    given,
  );
  return new Set(names.filter((name) => result[name] !== 'person'));
}

function stackTable() {
  const rows = describeStackSettings().map(({ name, default: value, description }) => [
    code(name),
    code(value),
    description,
  ]);
  return table(['setting', 'default', 'what it is'], rows);
}

function gatewayTable() {
  const settings = describeSettings();
  const replaced = replacedByTheStack(settings.map(({ name }) => name));
  const stackNames = new Set(describeStackSettings().map(({ name }) => name));
  const rows = settings.map(({ name, default: value, description }) => [
    code(name),
    code(value),
    description,
    stackNames.has(name) ? 'as above' : replaced.has(name) ? 'set by it' : 'handed on',
  ]);
  return table(['setting', 'default', 'what it is', '`make run`'], rows);
}

function withTable(text, name, content) {
  const begin = `<!-- begin ${name}: made by scripts/config-table.mjs -->`;
  const end = `<!-- end ${name} -->`;
  const [from, to] = [text.indexOf(begin), text.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`docs/operations.md lacks the markers of the table "${name}"`);
  return `${text.slice(0, from + begin.length)}\n\n${content}\n\n${text.slice(to)}`;
}

const before = readFileSync(DOCUMENT, 'utf8');
const after = withTable(
  withTable(before, 'stack settings', stackTable()),
  'gateway settings',
  gatewayTable(),
);
if (process.argv[2] === '--check') {
  if (after !== before) {
    console.error('docs/operations.md: the tables of settings are not what the schemas say.');
    console.error('Make them anew: node scripts/config-table.mjs');
    process.exitCode = 1;
  }
} else if (after !== before) {
  writeFileSync(DOCUMENT, after);
}
