import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createAuthority, type Authority, type AuthorityKeyType } from '@postern/certs';

export const CRL_URL = 'http://127.0.0.1:8080/crl/postern.crl';

export interface TempCa {
  readonly home: string;
  readonly dir: string;
  readonly keyFile: string;
  readonly authority: Authority;
  /** Writes a file into the temporary folder and gives its path. */
  file(name: string, content: string | Uint8Array): string;
  remove(): void;
}

export function tempFolder(): { home: string; remove(): void } {
  const home = mkdtempSync(join(tmpdir(), 'postern-certs-'));
  return { home, remove: () => rmSync(home, { recursive: true, force: true }) };
}

export async function tempCa(keyType: AuthorityKeyType = 'ec-p256'): Promise<TempCa> {
  const { home, remove } = tempFolder();
  const [dir, keyFile] = [join(home, 'ca'), join(home, 'ca.key')];
  const authority = await createAuthority({ dir, keyFile, crlUrl: CRL_URL, keyType });
  return {
    home,
    dir,
    keyFile,
    authority,
    remove,
    file: (name, content) => {
      const path = join(home, name);
      writeFileSync(path, content, { mode: 0o600 });
      return path;
    },
  };
}
