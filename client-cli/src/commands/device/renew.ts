import { certificateListSchema, deviceSchema } from '@postern/protocol';
import { z } from 'zod';
import { deviceArgument, type CommandContext, type Verb } from '../../context.js';
import { shellWord } from '../../gateway/problem.js';
import { FileExistsError } from '../../material/folder.js';
import { printInstructions } from '../../material/instructions.js';
import {
  addIssueOptions,
  checkIssueOptions,
  folderFor,
  issue,
  type IssueOptions,
} from '../../material/issue.js';
import { issueJson, printFiles } from './register.js';

export const addDeviceRenew: Verb = (parent, bind) => {
  const command = parent
    .command('renew')
    .description('get a new certificate for a device; the old one works until it is dropped')
    .argument('<device>', 'name of the device', deviceArgument);
  addIssueOptions(command)
    .option('--same-key', 'certify the key.pem that is in the folder (default: a new key)')
    .option('--drop-old', 'revoke the other certificates of the device once the new one is written')
    .action(
      bind<[string], IssueOptions & { dropOld?: boolean }>(async ({ ctx, args: [name], options }) => {
        checkIssueOptions(options);
        const folder = folderFor(ctx, name, options);
        const device = await ctx.connect().client.call({
          method: 'GET',
          path: ['devices', name],
          answer: deviceSchema,
          timeoutMs: ctx.globals.timeout,
          subject: { device: name },
        });
        const holder = folder.deviceId();
        if (holder !== null && holder !== device.id)
          throw new FileExistsError(
            `${folder.path} holds the files of another device (${holder}). Nothing was done.`,
            {
              hints: ['--out names another folder.'],
            },
          );
        const result = await issue({
          ctx,
          name,
          options,
          folder,
          path: ['devices', name, 'certificates', 'renew'],
          body: {},
          replace: holder === device.id || options.force === true,
        });
        const { serial, notAfter } = result.issued.certificate;
        const dropped = options.dropOld === true ? await dropOthers(ctx, name, serial) : [];
        ctx.out.result({ ...issueJson(folder, result), dropped }, () => {
          ctx.out.line(`Renewed ${name}: certificate ${serial}, valid until ${notAfter.slice(0, 10)}.`);
          printFiles(ctx, folder, result);
          if (options.dropOld === true)
            ctx.out.line(`Revoked: ${dropped.length === 0 ? 'none' : dropped.join(', ')}`);
          else
            ctx.out.line(
              `The old one works until it is revoked: postern device certificates ${shellWord(name)}`,
            );
          printInstructions(ctx, folder, result.issued, result.withKey ? folder.file('key.pem') : null);
        });
      }),
    );
};

/** Revokes all active certificates but `keep`. Answers their serials. */
async function dropOthers(ctx: CommandContext, name: string, keep: string): Promise<string[]> {
  const { client } = ctx.connect();
  const { certificates } = await client.call({
    method: 'GET',
    path: ['devices', name, 'certificates'],
    answer: certificateListSchema,
    timeoutMs: ctx.globals.timeout,
    subject: { device: name },
  });
  const others = certificates.filter(({ serial, state }) => state === 'active' && serial !== keep);
  for (const { serial } of others)
    await client.call({
      method: 'POST',
      path: ['devices', name, 'certificates', serial, 'revoke'],
      body: { reason: 'superseded' },
      answer: z.looseObject({}),
      timeoutMs: ctx.globals.timeout,
      subject: { device: name },
    });
  return others.map(({ serial }) => serial);
}
