import { certificateListSchema } from '@postern/protocol';
import { deviceArgument, type Verb } from '../../context.js';
import type { Cell } from '../../output.js';

export const addDeviceCertificates: Verb = (parent, bind) => {
  parent
    .command('certificates')
    .description('list the certificates of a device')
    .argument('<device>', 'name of the device', deviceArgument)
    .action(
      bind<[string]>(async ({ ctx, args: [name] }) => {
        const list = await ctx.connect().client.call({
          method: 'GET',
          path: ['devices', name, 'certificates'],
          answer: certificateListSchema,
          timeoutMs: ctx.globals.timeout,
          subject: { device: name },
        });
        ctx.out.result(list, () =>
          ctx.out.table(
            ['SERIAL', 'STATE', 'FROM', 'UNTIL', 'REVOKED'],
            list.certificates.map((certificate): Cell[] => [
              { text: certificate.serial },
              { text: certificate.state, colour: certificate.state === 'active' ? 'green' : 'dim' },
              { text: certificate.notBefore.slice(0, 10) },
              { text: certificate.notAfter.slice(0, 10) },
              {
                text:
                  certificate.revokedAt === null
                    ? '-'
                    : `${certificate.revokedAt.slice(0, 10)} ${certificate.revocationReason ?? ''}`.trim(),
              },
            ]),
          ),
        );
      }),
    );
};
