import { relative } from 'node:path';
import type { Issued } from '@postern/protocol';
import type { CommandContext } from '../context.js';
import { shellWord } from '../gateway/problem.js';
import type { DeviceFolder } from './folder.js';

/** Says how a device connects with the files that were just written. */
export function printInstructions(
  ctx: CommandContext,
  folder: DeviceFolder,
  issued: Issued,
  keyFile: string | null,
): void {
  const { mqtts, amqps, clientId, subscribe, publish } = issued.connection;
  const path = (file: string): string => shellWord(relative(ctx.io.cwd, file) || '.');
  const key = keyFile === null ? '<your key>' : path(keyFile);
  const { out } = ctx;
  out.line();
  out.line(
    `It connects by MQTTS to ${mqtts.host}:${mqtts.port} or by AMQPS to ${amqps.host}:${amqps.port}, as client ${clientId},`,
  );
  out.line(`gets its calls on ${subscribe} and answers on ${publish}. To watch its calls by hand:`);
  out.line(
    `  mosquitto_sub -h ${mqtts.host} -p ${mqtts.port} --cafile ${path(folder.file('rootca.pem'))}` +
      ` --cert ${path(folder.file('chain.pem'))} --key ${key} -i ${clientId} -t ${shellQuote(subscribe)} -q 1 -v`,
  );
  if (keyFile === null) return;
  const block = folder.files(true)['config'];
  if (block !== undefined) {
    out.line(
      `An FT900 reads ${path(block)} at 0x3D000 of its program flash (firmware-ft900/docs/config-block.md).`,
    );
    out.line('It holds the private key: erase the file once it is on the part.');
  }
  out.line('A simulated device, where the Postern checkout is:');
  out.line(`  npx postern-simulator --dir ${path(folder.path)}`);
}

const shellQuote = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;
