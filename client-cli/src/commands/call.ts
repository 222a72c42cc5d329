import { MAX_BODY_BYTES, jsonObjectSchema, methodNameSchema } from '@postern/protocol';
import { deviceArgument, type Verb } from '../context.js';
import { UsageError } from '../errors.js';
import { readStdin } from '../terminal.js';

function methodArgument(text: string): string {
  const method = methodNameSchema.safeParse(text);
  if (!method.success)
    throw new UsageError(`"${text}" is not the name of a method: it ${method.error.issues[0]?.message}.`);
  return method.data;
}

export const addCall: Verb = (parent, bind) => {
  parent
    .command('call')
    .description('call any method of a device and print its reply as JSON')
    .argument('<device>', 'name of the device', deviceArgument)
    .argument('<method>', 'name of the method, such as get_status', methodArgument)
    .argument('[json]', 'the request, a JSON object; - reads it from stdin', '{}')
    .action(
      bind<[string, string, string]>(async ({ ctx, args: [device, method, json] }) => {
        const body = objectOf(
          json === '-' ? (await readStdin(ctx.io, MAX_BODY_BYTES)).toString('utf8') : json,
        );
        const reply = await ctx.connect().client.call({
          method: 'POST',
          path: ['devices', device, 'methods', method],
          body,
          deviceTimeoutMs: ctx.deviceTimeoutMs,
          answer: jsonObjectSchema,
          subject: { device },
        });
        ctx.out.jsonValue(reply);
      }),
    );
};

function objectOf(text: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new UsageError(`The request is not valid JSON: ${(error as Error).message}.`, {
      hints: [`In a shell, quote it: postern call <device> <method> '{"number":12}'`],
    });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new UsageError('The request must be a JSON object, such as {"number":12}.');
  return value as Record<string, unknown>;
}
