import { networkSchema } from '@postern/protocol';
import { deviceArgument, type Verb } from '../../context.js';

export const addNetShow: Verb = (parent, bind) => {
  parent
    .command('show')
    .description('show address, subnet, gateway and MAC of a device')
    .argument('<device>', 'name of the device', deviceArgument)
    .action(
      bind<[string]>(async ({ ctx, args: [device] }) => {
        const network = await ctx.connect().client.call({
          method: 'GET',
          path: ['devices', device, 'network'],
          deviceTimeoutMs: ctx.deviceTimeoutMs,
          answer: networkSchema,
          subject: { device },
        });
        ctx.out.result(network, () =>
          ctx.out.pairs([
            ['ip', network.ip],
            ['subnet', network.subnet],
            ['gateway', network.gateway],
            ['mac', network.mac],
          ]),
        );
      }),
    );
};
