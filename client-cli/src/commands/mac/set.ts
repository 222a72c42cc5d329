import { macSchema } from '@postern/protocol';
import { z } from 'zod';
import { deviceArgument, type Verb } from '../../context.js';
import { UsageError } from '../../errors.js';

function macArgument(text: string): string {
  const mac = macSchema.safeParse(text);
  if (!mac.success)
    throw new UsageError(`"${text}" is not a MAC address: it ${mac.error.issues[0]?.message}.`);
  return mac.data;
}

export const addMacSet: Verb = (parent, bind) => {
  parent
    .command('set')
    .description('set the MAC address of a device')
    .argument('<device>', 'name of the device', deviceArgument)
    .argument('<mac>', 'such as 02:00:00:12:34:56', macArgument)
    .action(
      bind<[string, string]>(async ({ ctx, args: [device, value] }) => {
        const reply = await ctx.connect().client.call({
          method: 'PUT',
          path: ['devices', device, 'mac'],
          body: { value },
          deviceTimeoutMs: ctx.deviceTimeoutMs,
          answer: z.looseObject({ value: z.string() }),
          subject: { device },
        });
        ctx.out.result(reply, () => ctx.out.line(`${device}: MAC address is ${reply.value}`));
      }),
    );
};
