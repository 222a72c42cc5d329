import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  CA_FILES,
  createAuthority,
  createKeyFile,
  openAuthority,
  openOrCreateAuthority,
  readKeyFile,
} from '@postern/certs';
import { opensslOk } from './support/openssl.js';
import { CRL_URL, tempCa, tempFolder, type TempCa } from './support/temp-ca.js';

const DAY_MS = 86_400_000;

describe('opening a CA folder', () => {
  let ca: TempCa;
  let other: TempCa;
  let dir: string;
  beforeAll(async () => {
    [ca, other] = [await tempCa(), await tempCa()];
    dir = join(ca.home, 'copy');
  });
  afterEach(() => {
    rmSync(dir, { recursive: true, force: true });
  });
  afterAll(() => [ca, other].forEach((each) => each.remove()));

  const copy = (): void => cpSync(ca.dir, dir, { recursive: true });
  /** What both ways of opening say; the one that may create must not. */
  async function refusal(): Promise<{ code?: string; message: string }> {
    const before = names();
    const options = { dir, keyFile: ca.keyFile, crlUrl: CRL_URL };
    const first = await openAuthority(options).then(fail, (error: Error & { code?: string }) => error);
    const second = await openOrCreateAuthority(options).then(
      fail,
      (error: Error & { code?: string }) => error,
    );
    expect(second.message).toBe(first.message);
    expect(names()).toEqual(before);
    return first;
  }
  const names = (): string => caFileNames(dir);

  it('opens the same CA again, also without the root key (kept offline)', async () => {
    copy();
    rmSync(join(dir, CA_FILES.rootKey));
    const again = await openAuthority({ dir, keyFile: ca.keyFile });
    expect(again.rootCaPem).toBe(ca.authority.rootCaPem);
    expect(again.crlUrl).toBe(CRL_URL);
    const path = ca.file('again.pem', (await again.issueDevice({ deviceId: 'd1' })).certificatePem);
    opensslOk([
      'verify',
      '-CAfile',
      join(ca.dir, CA_FILES.root),
      '-untrusted',
      join(ca.dir, CA_FILES.issuing),
      path,
    ]);
  });

  it('takes another CRL URL, and refuses one that is none', async () => {
    const crlUrl = 'https://gate.example/crl';
    expect((await openAuthority({ dir: ca.dir, keyFile: ca.keyFile, crlUrl })).crlUrl).toBe(crlUrl);
    for (const bad of ['', 'crl', 'ftp://a/b', 'file:///etc', 'http://a/ b', 'http://ä/']) {
      await expect(openAuthority({ dir: ca.dir, keyFile: ca.keyFile, crlUrl: bad })).rejects.toMatchObject({
        code: 'CRL_URL_INVALID',
      });
    }
  });

  it('keeps keys encrypted and private, the rest readable', () => {
    expect(statSync(ca.dir).mode & 0o777).toBe(0o700);
    expect(statSync(ca.keyFile).mode & 0o777).toBe(0o600);
    for (const name of [CA_FILES.rootKey, CA_FILES.issuingKey]) {
      expect(statSync(join(ca.dir, name)).mode & 0o777).toBe(0o600);
      const structure = opensslOk(['asn1parse', '-in', join(ca.dir, name)]);
      expect(structure).toMatch(/:PBES2/);
      expect(structure).toMatch(/:PBKDF2/);
      expect(structure).toMatch(/INTEGER +:0927C0/); // 600,000
      expect(structure).toMatch(/:hmacWithSHA256/);
      expect(structure).toMatch(/:aes-256-cbc/);
    }
  });

  it('lets openssl open a key with the key file, for an operator without this program', () => {
    for (const [key, certificate] of [
      [CA_FILES.rootKey, CA_FILES.root],
      [CA_FILES.issuingKey, CA_FILES.issuing],
    ] as const) {
      const pub = opensslOk(['pkey', '-in', join(ca.dir, key), '-passin', `file:${ca.keyFile}`, '-pubout']);
      expect(opensslOk(['x509', '-in', join(ca.dir, certificate), '-noout', '-pubkey'])).toBe(pub);
    }
  });

  it('an absent folder is missing, and opening makes none', async () => {
    await expect(openAuthority({ dir, keyFile: ca.keyFile })).rejects.toMatchObject({ code: 'CA_MISSING' });
    expect(() => statSync(dir)).toThrow();
  });

  it.each([CA_FILES.root, CA_FILES.issuing, CA_FILES.issuingKey, CA_FILES.settings])(
    'a missing %s is named and not made anew',
    async (name) => {
      copy();
      rmSync(join(dir, name));
      const error = await refusal();
      expect(error.code).toBe('CA_INCOMPLETE');
      expect(error.message).toContain(name);
    },
  );

  describe.each(Object.values(CA_FILES))('a damaged %s', (name) => {
    it.each(['empty', 'cut in half', 'one byte short', 'garbage', 'doubled', 'one character changed'])(
      'is named: %s',
      async (damage) => {
        copy();
        const path = join(dir, name);
        const whole = readFileSync(path, 'utf8');
        const body = whole.indexOf('\n') + 30;
        const changed = whole.slice(0, body) + (whole[body] === 'A' ? 'B' : 'A') + whole.slice(body + 1);
        const contents: Record<string, string> = {
          empty: '',
          'cut in half': whole.slice(0, whole.length / 2),
          'one byte short': whole.trimEnd().slice(0, -1),
          garbage: '\u0000\u0001garbage',
          doubled: whole + whole,
          'one character changed': name === CA_FILES.settings ? whole.replace('1', '2') : changed,
        };
        writeFileSync(path, contents[damage] ?? fail());
        const error = await refusal();
        expect(error.code).toMatch(/^CA_(DAMAGED|MISMATCH|KEY_UNREADABLE|EXPIRED)$/);
        if (damage !== 'one character changed') expect(error.code).toBe('CA_DAMAGED');
        expect(error.message).toContain(name);
      },
    );
  });

  it.each([CA_FILES.root, CA_FILES.issuing])("another CA's %s is told by its signature", async (name) => {
    copy();
    copyFileSync(join(other.dir, name), join(dir, name));
    const error = await refusal();
    expect(error.code).toBe('CA_MISMATCH');
    expect(error.message).toMatch(/was not signed by .*rootca\.pem/);
  });

  it.each([CA_FILES.rootKey, CA_FILES.issuingKey])("another certificate's %s is told", async (name) => {
    copy();
    // Encrypted with the right key-encryption key, but another private key.
    const foreign = join(dir, name === CA_FILES.rootKey ? CA_FILES.issuingKey : CA_FILES.rootKey);
    copyFileSync(foreign, join(dir, name));
    const error = await refusal();
    expect(error.code).toBe('CA_MISMATCH');
    expect(error.message).toMatch(new RegExp(`${name} is not the key of`));
  });

  it('the issuing certificate in place of the root is refused', async () => {
    copy();
    copyFileSync(join(dir, CA_FILES.issuing), join(dir, CA_FILES.root));
    const error = await refusal();
    expect(error).toMatchObject({
      code: 'CA_MISMATCH',
      message: expect.stringContaining('not the certificate of a root') as string,
    });
  });

  it('the wrong key-encryption key is told, from a file and as a value', async () => {
    await expect(openAuthority({ dir: ca.dir, keyFile: other.keyFile })).rejects.toMatchObject({
      code: 'CA_KEY_UNREADABLE',
    });
    const wrong = await readKeyFile(other.keyFile);
    const error = await openAuthority({ dir: ca.dir, keyEncryptionKey: wrong }).then(fail, (e: Error) => e);
    expect(error).toMatchObject({ code: 'CA_KEY_UNREADABLE' });
    expect(error.message).not.toContain(wrong);
    const right = await readKeyFile(ca.keyFile);
    expect((await openAuthority({ dir: ca.dir, keyEncryptionKey: right })).rootCaPem).toBe(
      ca.authority.rootCaPem,
    );
  });

  it.each([0o640, 0o604, 0o620, 0o602, 0o644])('a key file of mode %o is refused', async (mode) => {
    const keyFile = join(ca.home, 'open.key');
    copyFileSync(ca.keyFile, keyFile);
    chmodSync(keyFile, mode);
    await expect(openAuthority({ dir: ca.dir, keyFile })).rejects.toMatchObject({
      code: 'KEY_FILE_PERMISSIONS',
      message: expect.stringMatching(/open\.key can be read or written by others .*chmod 600/) as string,
    });
    rmSync(keyFile);
  });

  it.each([CA_FILES.rootKey, CA_FILES.issuingKey])('a %s that others can read is refused', async (name) => {
    copy();
    chmodSync(join(dir, name), 0o644);
    const error = await refusal();
    expect(error).toMatchObject({
      code: 'KEY_FILE_PERMISSIONS',
      message: expect.stringContaining(name) as string,
    });
  });

  it.each(['', 'short', 'A'.repeat(44), `${'A'.repeat(43)}=${'A'.repeat(44)}`, '\u0000'.repeat(44)])(
    'a key file that holds %j is damaged, and stays',
    async (content) => {
      const keyFile = ca.file('bad.key', content);
      const error = await openAuthority({ dir: ca.dir, keyFile }).then(fail, (e: Error) => e);
      expect(error).toMatchObject({ code: 'KEY_FILE_DAMAGED' });
      if (content !== '') expect(error.message).not.toContain(content);
      expect(await createKeyFile(keyFile)).toBe(false);
      expect(readFileSync(keyFile, 'utf8')).toBe(content);
    },
  );

  it('a missing key file is told, and not made beside a CA', async () => {
    const keyFile = join(ca.home, 'gone.key');
    const options = { dir: ca.dir, keyFile, crlUrl: CRL_URL };
    await expect(openOrCreateAuthority(options)).rejects.toMatchObject({ code: 'KEY_FILE_MISSING' });
    expect(() => statSync(keyFile)).toThrow();
  });

  it('a CA past its time or before it is refused, and says which file', async () => {
    const at = (now: number) => openAuthority({ dir: ca.dir, keyFile: ca.keyFile, now: () => now });
    await expect(at(ca.authority.issuingNotAfter)).rejects.toMatchObject({
      code: 'CA_EXPIRED',
      message: expect.stringMatching(/issuing\.pem expired on/) as string,
    });
    await expect(at(ca.authority.issuingNotAfter - 1)).resolves.toHaveProperty('crlUrl');
    await expect(at(Date.now() - DAY_MS)).rejects.toMatchObject({
      code: 'CA_EXPIRED',
      message: expect.stringMatching(/rootca\.pem is not good before .* clock/) as string,
    });
  });

  it('a CA that expires while the gateway runs issues no more', async () => {
    let now = Date.now();
    const running = await openAuthority({ dir: ca.dir, keyFile: ca.keyFile, now: () => now });
    now = running.issuingNotAfter + 1;
    await expect(running.issueDevice({ deviceId: 'd1' })).rejects.toMatchObject({ code: 'VALIDITY_INVALID' });
  });
});

describe('making a CA', () => {
  it('refuses a folder that holds a CA or anything else', async () => {
    const { home, remove } = tempFolder();
    try {
      const dir = join(home, 'ca');
      const options = { dir, keyFile: join(home, 'ca.key'), crlUrl: CRL_URL };
      mkdirSync(dir);
      writeFileSync(join(dir, 'notes.txt'), 'x');
      for (const make of [createAuthority, openOrCreateAuthority]) {
        await expect(make(options)).rejects.toMatchObject({
          code: 'CA_EXISTS',
          message: expect.stringContaining('notes.txt') as string,
        });
      }
      expect(() => statSync(options.keyFile)).toThrow();
      rmSync(join(dir, 'notes.txt'));
      const made = await createAuthority(options); // an empty folder is as good as none
      await expect(createAuthority(options)).rejects.toMatchObject({ code: 'CA_EXISTS' });
      expect((await openOrCreateAuthority(options)).rootCaPem).toBe(made.rootCaPem);
    } finally {
      remove();
    }
  });

  it('refuses settings that no CA can have', async () => {
    const { home, remove } = tempFolder();
    try {
      const dir = join(home, 'ca');
      const options = { dir, keyFile: join(home, 'ca.key'), crlUrl: CRL_URL };
      for (const bad of [
        { name: 'a/b' },
        { name: '' },
        { issuingValidityDays: 0 },
        { rootValidityDays: 10, issuingValidityDays: 11 },
        { keyFile: join(dir, 'ca.key') },
      ]) {
        await expect(createAuthority({ ...options, ...bad })).rejects.toMatchObject({
          code: 'CA_SETTINGS_INVALID',
        });
      }
      await expect(createAuthority({ ...options, crlUrl: 'nowhere' })).rejects.toMatchObject({
        code: 'CRL_URL_INVALID',
      });
      expect(caFileNames(dir)).toBe('');
    } finally {
      remove();
    }
  });
});

/** The names in a folder; empty where there is no folder. */
function caFileNames(dir: string): string {
  return existsSync(dir) ? readdirSync(dir).sort().join(' ') : '';
}

function fail(): never {
  throw new Error('it was accepted');
}
