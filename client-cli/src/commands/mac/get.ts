import { z } from 'zod';
import { deviceArgument, type Verb } from '../../context.js';

export const addMacGet: Verb = (parent, bind) => {
  parent
    .command('get')
    .description('print the MAC address of a device')
    .argument('<device>', 'name of the device', deviceArgument)
    .action(
      bind<[string]>(async ({ ctx, args: [device] }) => {
        const reply = await ctx.connect().client.call({
          method: 'GET',
          path: ['devices', device, 'mac'],
          deviceTimeoutMs: ctx.deviceTimeoutMs,
          answer: z.looseObject({ value: z.string() }),
          subject: { device },
        });
        ctx.out.result(reply, () => ctx.out.line(reply.value));
      }),
    );
};
