import { spawn, spawnSync, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { connect, type SecureVersion } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  CRL_LIFETIME_MS,
  CRL_REASONS,
  nameHash,
  writeCrlToFolder,
  type CrlReason,
  type IssuedCertificate,
} from '@postern/certs';
import { elements } from '../src/der.js';
import { openssl, opensslOk } from './support/openssl.js';
import { tempCa, type TempCa } from './support/temp-ca.js';

const support = (name: string): string => fileURLToPath(new URL(`./support/${name}`, import.meta.url));

describe.each(['ec-p256', 'rsa-3072'] as const)('CRLs of an %s CA', (keyType) => {
  let ca: TempCa;
  beforeAll(async () => {
    ca = await tempCa(keyType);
  });
  afterAll(() => ca.remove());

  const verify = (crlPem: string, issued: IssuedCertificate, extra: string[] = []) =>
    openssl([
      ...['verify', '-x509_strict', '-crl_check', ...extra, '-CRLfile', ca.file('crl.pem', crlPem)],
      ...['-CAfile', join(ca.dir, 'rootca.pem'), '-untrusted', join(ca.dir, 'issuing.pem')],
      ca.file('leaf.pem', issued.certificatePem),
    ]);

  it('make openssl refuse the revoked one alone', async () => {
    const [good, bad] = [
      await ca.authority.issueDevice({ deviceId: 'd1' }),
      await ca.authority.issueDevice({ deviceId: 'd1' }),
    ];
    const entries = [{ serial: bad.serial, revokedAt: Date.now(), reason: 'keyCompromise' as const }];
    const crl = await ca.authority.buildCrl({ entries, number: 1 });
    expect(verify(crl.pem, good)).toMatchObject({ status: 0 });
    const refused = verify(crl.pem, bad);
    expect(refused.status).not.toBe(0);
    expect(refused.out).toContain('certificate revoked');
  });

  it('say all RFC 5280 reasons, and leave out the unspecified one (5.3.1)', async () => {
    const reasons = Object.keys(CRL_REASONS) as CrlReason[];
    const revokedAt = Date.UTC(2026, 0, 2, 3, 4, 5);
    const entries = reasons.map((reason, at) => ({ serial: `${at + 1}f`, revokedAt, reason }));
    const { pem } = await ca.authority.buildCrl({ entries, number: 0x1234 });
    const text = opensslOk(['crl', '-noout', '-text'], pem);
    const said = text
      .split('Serial Number: ')
      .slice(1)
      .map((entry) => /Reason Code: *\n *(.*)/.exec(entry)?.[1]);
    expect(said).toEqual([
      undefined,
      'Key Compromise',
      'CA Compromise',
      'Affiliation Changed',
      'Superseded',
      'Cessation Of Operation',
      'Certificate Hold',
      'Privilege Withdrawn',
      'AA Compromise',
    ]);
    expect(text).toContain('Version 2 (0x1)');
    expect(text.match(/Revocation Date: Jan {2}2 03:04:05 2026 GMT/g)).toHaveLength(reasons.length);
    expect(text).toMatch(/X509v3 CRL Number: *\n +(0x1234|4660)/);
    expect(text).toContain('X509v3 Authority Key Identifier');
  });

  it('are signed by the issuing CA, in DER and PEM alike, empty ones too', async () => {
    const crl = await ca.authority.buildCrl({ entries: [], number: 0 });
    const check = openssl(
      ['crl', '-noout', '-CAfile', ca.file('issuing.pem', ca.authority.issuingCaPem)],
      crl.pem,
    );
    expect(check.out).toContain('verify OK');
    expect(opensslOk(['crl', '-inform', 'DER', '-outform', 'PEM', '-in', ca.file('crl.der', crl.der)])).toBe(
      crl.pem,
    );
    expect(opensslOk(['crl', '-noout', '-text'], crl.pem)).toContain('No Revoked Certificates');
    expect(verify(crl.pem, await ca.authority.issueDevice({ deviceId: 'd1' }))).toMatchObject({ status: 0 });
  });

  it('run from thisUpdate to nextUpdate, a week by default, and then count no more', async () => {
    const issued = await ca.authority.issueDevice({ deviceId: 'd1' });
    const byDefault = await ca.authority.buildCrl({ entries: [], number: 1 });
    expect(byDefault.nextUpdate - byDefault.thisUpdate).toBe(CRL_LIFETIME_MS);
    expect(Math.abs(byDefault.thisUpdate - Date.now())).toBeLessThan(60_000);
    const past = { thisUpdate: Date.now() - 20_000, nextUpdate: Date.now() - 10_000 };
    const old = await ca.authority.buildCrl({ entries: [], number: 1, ...past });
    expect(verify(old.pem, issued).out).toContain('CRL has expired');
    const later = await ca.authority.buildCrl({ entries: [], number: 1, nextUpdate: Date.UTC(2051, 0, 1) });
    expect(opensslOk(['crl', '-noout', '-nextupdate'], later.pem)).toBe(
      'nextUpdate=Jan  1 00:00:00 2051 GMT\n',
    );
  });

  it('refuse what cannot be listed', async () => {
    const entry = { serial: 'ab', revokedAt: 1, reason: 'superseded' as const };
    const bad = [
      { entries: [entry, entry], number: 1 },
      { entries: [entry, { ...entry, serial: '0ab' }], number: 1 },
      ...['', 'AB', '0', 'ab:cd', 'g', '1'.repeat(41)].map((serial) => ({
        entries: [{ ...entry, serial }],
        number: 1,
      })),
      { entries: [{ ...entry, reason: 'removeFromCRL' as CrlReason }], number: 1 },
      { entries: [{ ...entry, revokedAt: Number.NaN }], number: 1 },
      ...[-1, 1.5, Number.NaN, 2 ** 53].map((number) => ({ entries: [], number })),
      { entries: [], number: 1, thisUpdate: 1000, nextUpdate: 1000 },
    ];
    for (const request of bad) {
      await expect(ca.authority.buildCrl(request)).rejects.toMatchObject({ code: 'CRL_INVALID' });
    }
  });
});

describe('CRLs in a folder by issuer hash', () => {
  let ca: TempCa;
  let other: TempCa;
  beforeAll(async () => {
    [ca, other] = [await tempCa(), await tempCa()];
  });
  afterAll(() => [ca, other].forEach((each) => each.remove()));

  it("lie where openssl's hash says, replaced as a whole, one for each CA", async () => {
    const dir = join(ca.home, 'crls');
    for (const { authority } of [ca, other]) {
      for (const number of [1, 2]) {
        const crl = await authority.buildCrl({ entries: [], number });
        const path = await writeCrlToFolder(dir, crl);
        expect(path).toBe(join(dir, `${opensslOk(['crl', '-noout', '-hash'], crl.pem).trim()}.r0`));
        expect(readFileSync(path, 'utf8')).toBe(crl.pem);
      }
    }
    expect(readdirSync(dir)).toHaveLength(2);
    expect(statSync(dir).mode & 0o777).toBe(0o700);
  });

  it('the hash is that of openssl and of Erlang, for names of all string kinds', () => {
    const subjects: [subject: string, ...args: string[]][] = [
      ['/CN=Simple'],
      ['/O=  Two   Blanks  /CN= Mixed  CASE \t Tab '],
      ['/C=DE/O=Postern/CN=a+OU=b+L=zz'],
      ['/CN=Grüße ÄÖÜ', '-utf8'],
      ['/emailAddress=Someone@Example.COM/CN=x'],
      ['/CN=Ω/O=Bmp', '-utf8'],
      ['/DC=com/DC=Example/CN=dc'],
    ];
    const key = ca.file(
      'hash.key',
      opensslOk(['genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256']),
    );
    const masks = ['utf8only', 'pkix', 'nombstr', 'default'];
    let compared = 0;
    const pems: string[] = [];
    const hashes: string[] = [];
    for (const mask of masks) {
      const config = ca.file('openssl.cnf', `[req]\ndistinguished_name=dn\nstring_mask=${mask}\n[dn]\n`);
      for (const [subject, ...args] of subjects) {
        const made = openssl([
          'req',
          '-new',
          '-x509',
          '-key',
          key,
          '-config',
          config,
          '-multivalue-rdn',
          '-subj',
          subject,
          ...args,
        ]);
        if (made.status !== 0) continue; // a mask that cannot hold the characters
        const pem = /-----BEGIN[^]*-----END CERTIFICATE-----\n/.exec(made.out)?.[0] ?? '';
        const hash = nameHash(subjectOf(pem));
        expect(hash, `${mask} ${subject}`).toBe(opensslOk(['x509', '-noout', '-subject_hash'], pem).trim());
        compared++;
        // Erlang's function (OTP 25) ends in a function_clause at a multi-valued RDN or a BMPString; what the
        // CAs of this room are named by, it and OpenSSL agree on.
        if (mask !== 'utf8only' || !/^[ -*,-~\t]*$/.test(subject)) continue;
        pems.push(pem);
        hashes.push(hash);
      }
    }
    expect(compared).toBeGreaterThan(20);
    const own = [ca.authority.issuingCaPem, ca.authority.rootCaPem];
    const all = ca.file('all.pem', [...own, ...pems].join(''));
    const erlang = spawnSync('escript', [support('name-hash.escript'), all], { encoding: 'utf8' });
    expect(erlang.stderr).toBe('');
    expect(erlang.stdout.trim().split('\n')).toEqual([
      ...own.map((pem) => nameHash(subjectOf(pem))),
      ...hashes,
    ]);
  });
});

describe('an Erlang TLS server with the CRL folder, as RabbitMQ uses it', () => {
  let ca: TempCa;
  let crls: string;
  let server: ChildProcessByStdio<Writable, Readable, null>;
  let lines: AsyncIterator<string>;
  let reader: Interface;
  let port: number;

  beforeAll(async () => {
    ca = await tempCa();
    crls = join(ca.home, 'crls');
    await writeCrlToFolder(crls, await ca.authority.buildCrl({ entries: [], number: 1 }));
    const broker = await ca.authority.issueBrokerServer({ dnsNames: ['localhost'] });
    server = spawn(
      'escript',
      [
        support('tls-server.escript'),
        ca.file('broker.pem', broker.chainPem),
        ca.file('broker.key', broker.privateKeyPem ?? ''),
        join(ca.dir, 'rootca.pem'),
        crls,
      ],
      { stdio: ['pipe', 'pipe', 'inherit'] },
    );
    reader = createInterface({ input: server.stdout });
    lines = reader[Symbol.asyncIterator]();
    port = Number(/^port (\d+)$/.exec(await nextLine())?.[1]);
  });
  afterAll(async () => {
    if (server.exitCode === null) {
      const gone = once(server, 'exit');
      server.stdin.end('\n');
      const killer = setTimeout(() => server.kill('SIGKILL'), 5000);
      await gone;
      clearTimeout(killer);
    }
    reader.close();
    ca.remove();
  });

  async function nextLine(): Promise<string> {
    const { value, done } = await lines.next();
    if (done) throw new Error('the server has ended');
    return value;
  }

  async function verdict(device: IssuedCertificate, version: SecureVersion): Promise<string> {
    const socket = connect({
      host: '127.0.0.1',
      port,
      servername: 'localhost',
      ca: ca.authority.rootCaPem,
      cert: device.chainPem,
      key: device.privateKeyPem ?? '',
      minVersion: version,
      maxVersion: version,
    });
    socket.on('error', () => undefined); // the server says why
    socket.resume();
    const line = await nextLine();
    socket.destroy();
    return line;
  }

  it.each(['TLSv1.2', 'TLSv1.3'] as const)('%s: takes a device until a CRL lists it', async (version) => {
    const [first, second] = [
      await ca.authority.issueDevice({ deviceId: 'd1' }),
      await ca.authority.issueDevice({ deviceId: 'd1' }),
    ];
    expect(await verdict(first, version)).toMatch(/^accepted/);
    expect(await verdict(second, version)).toMatch(/^accepted/);
    const entries = [{ serial: first.serial, revokedAt: Date.now(), reason: 'superseded' as const }];
    await writeCrlToFolder(crls, await ca.authority.buildCrl({ entries, number: 2 }));
    expect(await verdict(first, version)).toBe('refused certificate_revoked');
    expect(await verdict(second, version)).toMatch(/^accepted/);
  });

  it('refuses everybody while the CRL is past its time or gone (crl_check = peer)', async () => {
    const device = await ca.authority.issueDevice({ deviceId: 'd1' });
    const past = { thisUpdate: Date.now() - 20_000, nextUpdate: Date.now() - 10_000 };
    const path = await writeCrlToFolder(
      crls,
      await ca.authority.buildCrl({ entries: [], number: 3, ...past }),
    );
    expect(await verdict(device, 'TLSv1.3')).toMatch(/^refused/);
    rmSync(path);
    expect(await verdict(device, 'TLSv1.3')).toMatch(/^refused/);
    await writeCrlToFolder(crls, await ca.authority.buildCrl({ entries: [], number: 4 }));
    expect(await verdict(device, 'TLSv1.3')).toMatch(/^accepted/);
  });
});

/** The subject's bytes (RFC 5280 4.1): the fifth field after the version, which a version 1 certificate leaves out. */
function subjectOf(pem: string): Uint8Array {
  const [certificate] = elements(Buffer.from(pem.replace(/-----.*-----/g, ''), 'base64'));
  const [toBeSigned] = elements(certificate!.content);
  return [...elements(toBeSigned!.content)].filter(({ tag }) => tag !== 0xa0)[4]!.whole;
}
