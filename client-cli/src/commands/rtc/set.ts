import { epochSecondsSchema } from '@postern/protocol';
import { z } from 'zod';
import { deviceArgument, type Verb } from '../../context.js';
import { isoText, timeArgument, timeText } from './time.js';

export const addRtcSet: Verb = (parent, bind) => {
  parent
    .command('set')
    .description('set the time of a device')
    .argument('<device>', 'name of the device', deviceArgument)
    .argument('[time]', 'now, epoch seconds, or ISO 8601 with its zone', timeArgument, 'now')
    .action(
      bind<[string, number | 'now']>(async ({ ctx, args: [device, time] }) => {
        const { client, session } = ctx.connect();
        // A refresh takes its time: it comes before the clock is read.
        await session.accessToken();
        const value = time === 'now' ? Math.round(ctx.io.now() / 1000) : time;
        const reply = await client.call({
          method: 'PUT',
          path: ['devices', device, 'rtc'],
          body: { value },
          deviceTimeoutMs: ctx.deviceTimeoutMs,
          answer: z.looseObject({ value: epochSecondsSchema }),
          subject: { device },
        });
        ctx.out.result({ ...reply, iso: isoText(reply.value) }, () =>
          ctx.out.line(`${device}: clock is ${timeText(reply.value)}`),
        );
      }),
    );
};
