import { pinValueSchema } from '@postern/protocol';
import { z } from 'zod';
import { deviceArgument, type Verb } from '../../context.js';
import { pinArgument } from './arguments.js';

export const addGpioGet: Verb = (parent, bind) => {
  parent
    .command('get')
    .description('print the value of a pin, 0 or 1')
    .argument('<device>', 'name of the device', deviceArgument)
    .argument('<pin>', 'number of the pin, 0 to 66', pinArgument)
    .action(
      bind<[string, number]>(async ({ ctx, args: [device, pin] }) => {
        const reply = await ctx.connect().client.call({
          method: 'GET',
          path: ['devices', device, 'gpio', String(pin)],
          deviceTimeoutMs: ctx.deviceTimeoutMs,
          answer: z.looseObject({ value: pinValueSchema }),
          subject: { device },
        });
        ctx.out.result(reply, () => ctx.out.line(String(reply.value)));
      }),
    );
};
