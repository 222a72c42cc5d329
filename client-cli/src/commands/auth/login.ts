import { Option } from 'commander';
import type { Verb } from '../../context.js';
import { beginLogin } from './begin.js';
import { readCredentials, refusePasswordOption, type CredentialOptions } from './credentials.js';
import { loginTarget } from './target.js';

/** The options that login and signup share. */
export const credentialOptions = (): Option[] => [
  new Option(
    '--ca <file>',
    'the CA to trust for this gateway, PEM (default: that of $POSTERN_DATA_DIR or ./.postern, else the system)',
  ),
  new Option('--username <name>', 'the user name (default: ask)'),
  new Option('--password-stdin', 'read the password from stdin (default: ask)'),
  new Option('--password [value]').hideHelp(),
];

export const addLogin: Verb = (parent, bind) => {
  const command = parent
    .command('login')
    .description('log in on a gateway, pin its CA, and make this login the current one');
  for (const option of credentialOptions()) command.addOption(option);
  command.action(
    bind<[], CredentialOptions>(async ({ ctx, options }) => {
      refusePasswordOption(options);
      const target = loginTarget(ctx, options.ca);
      const credentials = await readCredentials(ctx, options, { twice: false });
      const { name, profile } = await beginLogin(ctx, target, credentials);
      ctx.out.result(
        { profile: name, gateway: profile.gateway, username: profile.username, dataDir: profile.dataDir },
        () => {
          ctx.out.line(`Logged in as ${profile.username} on ${profile.gateway} (profile ${name}).`);
          if (target.caSource !== null) ctx.out.note(`Its CA is pinned: ${target.caSource}`);
        },
      );
    }),
  );
};
