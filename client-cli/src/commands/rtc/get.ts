import { epochSecondsSchema } from '@postern/protocol';
import { z } from 'zod';
import { deviceArgument, type Verb } from '../../context.js';
import { isoText, timeText } from './time.js';

export const addRtcGet: Verb = (parent, bind) => {
  parent
    .command('get')
    .description('print the time of a device: epoch seconds and ISO 8601 in UTC')
    .argument('<device>', 'name of the device', deviceArgument)
    .action(
      bind<[string]>(async ({ ctx, args: [device] }) => {
        const reply = await ctx.connect().client.call({
          method: 'GET',
          path: ['devices', device, 'rtc'],
          deviceTimeoutMs: ctx.deviceTimeoutMs,
          answer: z.looseObject({ value: epochSecondsSchema }),
          subject: { device },
        });
        ctx.out.result({ ...reply, iso: isoText(reply.value) }, () => ctx.out.line(timeText(reply.value)));
      }),
    );
};
