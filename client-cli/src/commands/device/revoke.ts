import { REVOCATION_REASONS, certificateListSchema, type RevocationReason } from '@postern/protocol';
import { Option } from 'commander';
import { z } from 'zod';
import { deviceArgument, type CommandContext, type Verb } from '../../context.js';
import { UsageError } from '../../errors.js';
import { shellWord } from '../../gateway/problem.js';

interface RevokeOptions {
  reason?: RevocationReason;
}

function serialArgument(text: string): string {
  const serial = text.replaceAll(':', '').toLowerCase();
  if (!/^[0-9a-f]{1,40}$/.test(serial))
    throw new UsageError(
      `"${text}" is not the serial number of a certificate: at most 40 hex digits (RFC 5280 4.1.2.2).`,
    );
  return serial;
}

export const addDeviceRevoke: Verb = (parent, bind) => {
  parent
    .command('revoke')
    .description('revoke a certificate of a device; what is connected with it is disconnected')
    .argument('<device>', 'name of the device', deviceArgument)
    .argument(
      '[serial]',
      'serial number of the certificate (default: the active one, where there is one only)',
      serialArgument,
    )
    .addOption(new Option('--reason <reason>', 'why (RFC 5280 5.3.1)').choices(REVOCATION_REASONS))
    .action(
      bind<[string, string | undefined], RevokeOptions>(async ({ ctx, args: [name, given], options }) => {
        const active = await activeSerials(ctx, name);
        const serial = given ?? onlyOne(active, name);
        const answer = await ctx.connect().client.call({
          method: 'POST',
          path: ['devices', name, 'certificates', serial, 'revoke'],
          body: options.reason === undefined ? {} : { reason: options.reason },
          answer: z.looseObject({}),
          timeoutMs: ctx.globals.timeout,
          subject: { device: name },
        });
        const left = active.filter((other) => other !== serial);
        ctx.out.result({ ...answer, serial, activeCertificates: left }, () => {
          ctx.out.line(`Revoked ${serial} of ${name}.`);
          if (left.length === 0)
            ctx.out.line(
              `${name} has no certificate now and cannot connect. A new one: postern device renew ${shellWord(name)}`,
            );
        });
      }),
    );
};

async function activeSerials(ctx: CommandContext, name: string): Promise<string[]> {
  const { certificates } = await ctx.connect().client.call({
    method: 'GET',
    path: ['devices', name, 'certificates'],
    answer: certificateListSchema,
    timeoutMs: ctx.globals.timeout,
    subject: { device: name },
  });
  return certificates.filter(({ state }) => state === 'active').map(({ serial }) => serial);
}

function onlyOne(active: readonly string[], name: string): string {
  const [first, second] = active;
  if (first !== undefined && second === undefined) return first;
  throw new UsageError(
    first === undefined
      ? `${name} has no active certificate.`
      : `${name} has ${active.length} active certificates: say which.`,
    { hints: [...active.map((serial) => `postern device revoke ${shellWord(name)} ${serial}`)] },
  );
}
