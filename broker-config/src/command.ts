import { fileURLToPath } from 'node:url';
import { findProgram, type BrokerInstallation } from './detect.js';

export interface Command {
  readonly file: string;
  readonly args: readonly string[];
}

const ENTER_ROOT = fileURLToPath(new URL('../templates/enter-root.sh', import.meta.url));

/**
 * How to run one of the broker's programs. On Linux it gets SIGTERM when the launcher's process dies, also by
 * SIGKILL (prctl PR_SET_PDEATHSIG), so that it is not left behind.
 *
 * @param mountPoint empty folder for a rooted installation; the mount there is seen by the program alone
 */
export function brokerCommand(
  installation: BrokerInstallation,
  program: { file: string; args: readonly string[] },
  mountPoint: string,
): Command {
  const { runner } = installation;
  if (runner.kind === 'direct') {
    const setpriv = process.platform === 'linux' ? findProgram('setpriv') : null;
    if (!setpriv) return program;
    return { file: setpriv, args: ['--pdeathsig', 'TERM', program.file, ...program.args] };
  }
  const namespace = runner.userNamespace ? ['--user', '--map-root-user', '--mount'] : ['--mount'];
  // After the namespace, because a change of credentials clears the death signal.
  const inside = ['setpriv', '--pdeathsig', 'TERM', program.file, ...program.args];
  return { file: 'unshare', args: [...namespace, 'sh', ENTER_ROOT, runner.root, mountPoint, ...inside] };
}
