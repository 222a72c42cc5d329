import { deviceSchema } from '@postern/protocol';
import { deviceArgument, type Verb } from '../../context.js';
import { lastSeen, stateCell, transportText } from './presence.js';

export const addDeviceShow: Verb = (parent, bind) => {
  parent
    .command('show')
    .description('show a device: its id, whether it is connected, how and from where')
    .argument('<device>', 'name of the device', deviceArgument)
    .action(
      bind<[string]>(async ({ ctx, args: [name] }) => {
        const device = await ctx.connect().client.call({
          method: 'GET',
          path: ['devices', name],
          answer: deviceSchema,
          timeoutMs: ctx.globals.timeout,
          subject: { device: name },
        });
        const { presence } = device;
        const seen =
          presence.lastSeenAt === null ? '-' : `${presence.lastSeenAt} (${lastSeen(presence, ctx.io.now())})`;
        ctx.out.result(device, () =>
          ctx.out.pairs([
            ['name', device.name],
            ['id', device.id],
            ['state', stateCell(presence)],
            ['last seen', seen],
            ['address', presence.address ?? '-'],
            ['transport', transportText(presence)],
            ['model', presence.model ?? '-'],
            ['version', presence.version ?? '-'],
            ['key type', device.keyType],
            ['created', device.createdAt],
          ]),
        );
      }),
    );
};
