import { pinValueSchema } from '@postern/protocol';
import { z } from 'zod';
import { deviceArgument, type Verb } from '../../context.js';
import { pinArgument, pinValueArgument } from './arguments.js';

export const addGpioSet: Verb = (parent, bind) => {
  parent
    .command('set')
    .description('set a pin to 0 or 1')
    .argument('<device>', 'name of the device', deviceArgument)
    .argument('<pin>', 'number of the pin, 0 to 66', pinArgument)
    .argument('<value>', '0 or 1', pinValueArgument)
    .action(
      bind<[string, number, 0 | 1]>(async ({ ctx, args: [device, pin, value] }) => {
        const reply = await ctx.connect().client.call({
          method: 'PUT',
          path: ['devices', device, 'gpio', String(pin)],
          body: { value },
          deviceTimeoutMs: ctx.deviceTimeoutMs,
          answer: z.looseObject({ value: pinValueSchema }),
          subject: { device },
        });
        ctx.out.result(reply, () => ctx.out.line(`${device}: pin ${pin} is ${reply.value}`));
      }),
    );
};
