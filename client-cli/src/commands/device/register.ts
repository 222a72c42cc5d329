import type { Issued } from '@postern/protocol';
import { deviceArgument, type CommandContext, type Verb } from '../../context.js';
import type { DeviceFolder } from '../../material/folder.js';
import { printInstructions } from '../../material/instructions.js';
import {
  addIssueOptions,
  checkIssueOptions,
  folderFor,
  issue,
  type IssueOptions,
  type IssueResult,
} from '../../material/issue.js';

export const addDeviceRegister: Verb = (parent, bind) => {
  const command = parent
    .command('register')
    .description('register a device, make its key, and write key, certificate and chain as files')
    .argument('<name>', 'the name it is to have', deviceArgument);
  addIssueOptions(command).action(
    bind<[string], IssueOptions>(async ({ ctx, args: [name], options }) => {
      checkIssueOptions(options);
      const folder = folderFor(ctx, name, options);
      const result = await issue({
        ctx,
        name,
        options,
        folder,
        path: ['devices'],
        body: { name },
        replace: options.force === true,
      });
      const { issued, withKey } = result;
      ctx.out.result(issueJson(folder, result), () => {
        ctx.out.line(
          `Registered ${name} (${issued.device.id}), certificate valid until ${issued.certificate.notAfter.slice(0, 10)}.`,
        );
        printFiles(ctx, folder, result);
        printInstructions(ctx, folder, issued, withKey ? folder.file('key.pem') : null);
      });
    }),
  );
};

/** What programs get: all but the key and the PEM texts, which are in the files. */
export function issueJson(folder: DeviceFolder, { issued, withKey, movedTo }: IssueResult): object {
  const { device, certificate, connection }: Issued = issued;
  return { device, certificate, connection, folder: folder.path, files: folder.files(withKey), movedTo };
}

export function printFiles(
  ctx: CommandContext,
  folder: DeviceFolder,
  { withKey, movedTo }: IssueResult,
): void {
  const names = Object.values(folder.files(withKey)).map((file) => file.slice(folder.path.length + 1));
  ctx.out.line(`Written to ${folder.path}: ${names.join(', ')}`);
  if (movedTo !== null) ctx.out.line(`The files that were there: ${movedTo}`);
}
