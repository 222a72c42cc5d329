import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { replaceFile } from './durable-files.js';
import { crlIssuer, nameHash } from './name-hash.js';
import type { Crl } from './types.js';

/**
 * Puts a CRL where Erlang's `ssl_crl_hash_dir` (and OpenSSL's `-CApath`) looks for it: `<issuer hash>.r0`,
 * replaced as a whole. A new CRL of the same CA takes the place of the old one; a reader sees one of the two.
 * Other CAs' files stay. Resolves with the path. Rejects with the file system's error.
 */
export async function writeCrlToFolder(dir: string, crl: Pick<Crl, 'pem' | 'der'>): Promise<string> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const path = join(dir, `${nameHash(crlIssuer(crl.der))}.r0`);
  await replaceFile(path, crl.pem, 0o644);
  return path;
}
