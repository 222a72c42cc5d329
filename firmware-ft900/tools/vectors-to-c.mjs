// Turns the golden vectors of protocol/vectors into tables in C, for tests that run where there is no file system.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const [folder, out] = process.argv.slice(2);
if (!folder || !out) {
  console.error('usage: vectors-to-c.mjs VECTORS-FOLDER OUTPUT.c');
  process.exit(2);
}
const load = (name) => JSON.parse(readFileSync(join(folder, name), 'utf8'));

/** A C string literal; each byte beyond printable ASCII as octal, which unlike \x ends after three digits. */
const text = (value) =>
  `"${[...Buffer.from(value, 'utf8')]
    .map((byte) =>
      byte === 0x22 || byte === 0x5c
        ? `\\${String.fromCharCode(byte)}`
        : byte === 0x3f || byte < 0x20 || byte > 0x7e
          ? `\\${byte.toString(8).padStart(3, '0')}`
          : String.fromCharCode(byte),
    )
    .join('')}"`;
const json = (value) => text(JSON.stringify(value));
const optional = (value) => (value === undefined || value === null ? 'NULL' : text(value));

const methods = load('methods.json').methods;
const correlation = load('correlation.json');
const blocks = load('ft900-config-block.json');

const requests = methods.flatMap((m) => [
  `  {${text(m.method)}, ${json(m.request)}, ${json(m.reply)}, ${m.replyVaries ? 'true' : 'false'}},`,
  ...m.invalidRequests.map((r) => `  {${text(m.method)}, ${json(r)}, NULL, false},`),
]);

const answer = (out) => {
  if (!out) return 'NULL, NULL, NULL, NULL';
  const error = out.payload.error?.code;
  return [
    text(out.topic),
    error ? 'NULL' : json(out.payload),
    optional(error),
    optional(out.payload.correlationId),
  ].join(', ');
};
const exchanges = correlation.exchanges.map(
  (e) =>
    `  {${text(e.name)}, ${text(e.in.topic)}, ${json(e.in.payload)}, ${answer(e.out)}, ${e.outMayRepeat ? 'true' : 'false'}},`,
);

const bytes = (name, hex) =>
  `static const uint8_t ${name}[] = {${Buffer.from(hex, 'hex').toString('hex').replace(/../g, '0x$&,') || '0'}};`;
const arrays = [];
const slice = (hex) => {
  const name = `bytes_${arrays.length}`;
  arrays.push(bytes(name, hex));
  return `${name}, ${hex.length / 2}`;
};
const address = (value) => (value ? `{${value.split('.').join(', ')}}` : '{0, 0, 0, 0}');
const mac = (value) =>
  value
    ? `{${value
        .split(':')
        .map((b) => `0x${b}`)
        .join(', ')}}`
    : '{0, 0, 0, 0, 0, 0}';
const valid = blocks.valid.map(({ name, fields: f, block }) =>
  [
    `  {${text(name)}, ${slice(block)}, ${text(f.deviceId)}, ${text(f.host)}, ${f.port},`,
    `   ${slice(f.ca)}, ${slice(f.certificate)}, ${slice(f.privateKey)}, ${slice(f.seed)},`,
    `   ${f.network ? 'true' : 'false'}, {${address(f.network?.address)}, ${address(f.network?.netmask)}, ` +
      `${address(f.network?.gateway)}, ${address(f.network?.dns)}},`,
    `   ${f.mac ? 'true' : 'false'}, ${mac(f.mac)}, ${f.hostAddress ? 'true' : 'false'}, ${address(f.hostAddress)}},`,
  ].join('\n'),
);
const invalid = blocks.invalid.map((b) => `  {${text(b.name)}, PT_CONFIG_${b.reason}, ${slice(b.block)}},`);

writeFileSync(
  out,
  `/* Made by tools/vectors-to-c.mjs from protocol/vectors. */
#include "vectors.h"

#include <stddef.h>

const struct request_vector REQUEST_VECTORS[] = {
${requests.join('\n')}
};
const size_t REQUEST_VECTOR_COUNT = sizeof REQUEST_VECTORS / sizeof REQUEST_VECTORS[0];

const char *const EXCHANGE_DEVICE_ID = ${text(correlation.deviceId)};
const struct exchange_vector EXCHANGE_VECTORS[] = {
${exchanges.join('\n')}
};
const size_t EXCHANGE_VECTOR_COUNT = sizeof EXCHANGE_VECTORS / sizeof EXCHANGE_VECTORS[0];

${arrays.join('\n')}

const struct block_vector BLOCK_VECTORS[] = {
${valid.join('\n')}
};
const size_t BLOCK_VECTOR_COUNT = sizeof BLOCK_VECTORS / sizeof BLOCK_VECTORS[0];

const struct bad_block_vector BAD_BLOCK_VECTORS[] = {
${invalid.join('\n')}
};
const size_t BAD_BLOCK_VECTOR_COUNT = sizeof BAD_BLOCK_VECTORS / sizeof BAD_BLOCK_VECTORS[0];
`,
);
