import { isUtf8 } from 'node:buffer';
import { MAX_UART_BYTES, uartBase64Schema, uartTextSchema } from '@postern/protocol';
import { z } from 'zod';
import { deviceArgument, type CommandContext, type Verb } from '../../context.js';
import { UsageError } from '../../errors.js';
import { isInteractive, readStdin } from '../../terminal.js';

/** Room for base64 with line breaks; the exact limit is checked on what is decoded. */
const MAX_INPUT_BYTES = MAX_UART_BYTES * 2;

export const addUartWrite: Verb = (parent, bind) => {
  parent
    .command('write')
    .description(`write to the serial line of a device, at most ${MAX_UART_BYTES} bytes`)
    .argument('<device>', 'name of the device', deviceArgument)
    .argument('[text]', 'what to write; without it, or with -, stdin is sent as it is')
    .option('--base64', 'the text (or stdin) is base64 of the bytes to write; for devices of protocol 2')
    .action(
      bind<[string, string | undefined], { base64?: boolean }>(
        async ({ ctx, args: [device, text], options }) => {
          const given = text === undefined || text === '-' ? await inputText(ctx) : text;
          const body =
            options.base64 === true
              ? { data: check(uartBase64Schema, given.replace(/\s+/g, '')), encoding: 'base64' as const }
              : { data: check(uartTextSchema, given) };
          const reply = await ctx.connect().client.call({
            method: 'POST',
            path: ['devices', device, 'uart'],
            body,
            deviceTimeoutMs: ctx.deviceTimeoutMs,
            answer: z.looseObject({}),
            subject: { device },
          });
          const bytes = Buffer.byteLength(body.data, options.base64 === true ? 'base64' : 'utf8');
          ctx.out.result(reply, () => ctx.out.line(`${device}: ${bytes} bytes written`));
        },
      ),
    );
};

async function inputText(ctx: CommandContext): Promise<string> {
  if (isInteractive(ctx.io)) ctx.out.note('Type what to write; Ctrl-D on a line of its own ends it.');
  const bytes = await readStdin(ctx.io, MAX_INPUT_BYTES);
  if (!isUtf8(bytes))
    throw new UsageError('What is on stdin is not UTF-8 text.', {
      hints: ['Bytes go as base64: base64 < file | postern uart write <device> --base64'],
    });
  return bytes.toString('utf8');
}

function check(schema: z.ZodType<string>, text: string): string {
  const parsed = schema.safeParse(text);
  if (!parsed.success) throw new UsageError(`The data ${parsed.error.issues[0]?.message}.`);
  return parsed.data;
}
