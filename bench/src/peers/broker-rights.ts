import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { promisify } from 'node:util';

const run = promisify(execFile);

/**
 * Lets certificates of these names do anything on the benchmark's own broker: other people's gateways call devices
 * directly, which no certificate of Postern's may. Names that are asked of Postern are asked as before, in the
 * same way and with the same cache, so that the path of a message stays the same.
 */
export async function allowAnything(brokerPid: number, names: readonly string[]): Promise<void> {
  for (const name of names) {
    await ctl(brokerPid, ['add_user', name, randomBytes(16).toString('hex')]);
    await ctl(brokerPid, ['set_permissions', name, '.*', '.*', '.*']);
  }
  const backends = '[rabbit_auth_backend_internal, {rabbit_auth_backend_http, rabbit_auth_backend_cache}]';
  await ctl(brokerPid, ['eval', `application:set_env(rabbit, auth_backends, ${backends}).`]);
}

/** rabbitmqctl as the node's own user and environment have it. */
async function ctl(pid: number, args: readonly string[]): Promise<string> {
  const env = Object.fromEntries(
    readFileSync(`/proc/${pid}/environ`, 'utf8')
      .split('\0')
      .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  );
  // The start script names the release's plugins to the Erlang VM.
  const home = /([^:]*rabbitmq_server-[\d.]+)\/plugins/.exec(env['ERL_LIBS'] ?? '')?.[1];
  if (home === undefined)
    throw new Error('the environment of the broker does not tell where it is installed');
  const program = `${home}/sbin/rabbitmqctl`;
  // `make broker-4` runs with a root folder and mounts of its own.
  const rooted = readlinkSync(`/proc/${pid}/root`) !== '/';
  const [file, before] = rooted ? ['nsenter', ['--target', String(pid), '--mount', '--root']] : [program, []];
  const { stdout } = await run(file, [...before, ...(rooted ? [program] : []), ...args], {
    env,
    cwd: '/',
    timeout: 60_000,
  });
  return stdout;
}
