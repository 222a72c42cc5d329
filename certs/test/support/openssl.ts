import { spawnSync } from 'node:child_process';

/** OpenSSL, the reader that we did not write. */
export function openssl(args: string[], input?: string | Uint8Array): { status: number; out: string } {
  const { status, stdout, stderr, error } = spawnSync('openssl', args, {
    input: input ?? '',
    encoding: 'utf8',
  });
  if (error) throw error;
  return { status: status ?? -1, out: `${stdout}${stderr}` };
}

export function opensslOk(args: string[], input?: string | Uint8Array): string {
  const { status, out } = openssl(args, input);
  if (status !== 0) throw new Error(`openssl ${args.join(' ')} failed:\n${out}`);
  return out;
}
