import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openssl, opensslOk } from './support/openssl.js';
import { CRL_URL, tempFolder } from './support/temp-ca.js';

const BIN = fileURLToPath(new URL('../bin/postern-certs.js', import.meta.url));

// Each call is a process of its own, which derives the CA's keys.
describe('the postern-certs command', { timeout: 120_000 }, () => {
  const { home, remove } = tempFolder();
  const data = join(home, 'data');
  const at = (...names: string[]): string => join(home, ...names);

  function run(args: string[], input = ''): { code: number | null; out: string; err: string } {
    const env = { PATH: process.env.PATH, POSTERN_DATA_DIR: data };
    const result = spawnSync(process.execPath, [BIN, ...args], { cwd: home, env, input, encoding: 'utf8' });
    return { code: result.status, out: result.stdout, err: result.stderr };
  }

  beforeAll(() => {
    expect(run(['init', '--crl-url', CRL_URL, '--name', 'Hand'])).toMatchObject({ code: 0, err: '' });
    expect(run(['issue', 'device', '--id', 'lamp'])).toMatchObject({ code: 0, err: '' });
  });
  afterAll(remove);

  it('makes a CA once: a second init changes nothing and says why', () => {
    const before = readFileSync(join(data, 'ca', 'rootca.pem'), 'utf8');
    const again = run(['init', '--crl-url', CRL_URL]);
    expect(again.code).toBe(3);
    expect(again.err).toContain('holds a CA already');
    expect(readFileSync(join(data, 'ca', 'rootca.pem'), 'utf8')).toBe(before);
    expect(statSync(join(data, 'ca.key')).mode & 0o777).toBe(0o600);
  });

  it('issues what openssl accepts: leaf first, the key 0600', () => {
    expect(statSync(at('lamp.key.pem')).mode & 0o777).toBe(0o600);
    const ca = ['-CAfile', join(data, 'ca', 'rootca.pem'), '-untrusted', join(data, 'ca', 'issuing.pem')];
    opensslOk(['verify', '-x509_strict', '-purpose', 'sslclient', ...ca, at('lamp.crt.pem')]);
    const servers = [
      run(['issue', 'broker', '--dns', 'localhost', '--ip', '127.0.0.1', '--out', 'broker']),
      run([
        'issue',
        'https',
        '--dns',
        'localhost',
        '--dns',
        '*.a.example',
        '--key-type',
        'rsa-2048',
        '--out',
        'https',
      ]),
      run(['issue', 'gateway', '--out', 'gateway', '--days', '10']),
    ];
    expect(servers.map(({ code }) => code)).toEqual([0, 0, 0]);
    opensslOk([
      'verify',
      '-x509_strict',
      '-purpose',
      'sslserver',
      '-verify_ip',
      '127.0.0.1',
      ...ca,
      at('broker', 'localhost.crt.pem'),
    ]);
    opensslOk([
      'verify',
      '-x509_strict',
      '-purpose',
      'sslserver',
      '-verify_hostname',
      'b.a.example',
      ...ca,
      at('https', 'localhost.crt.pem'),
    ]);
    opensslOk([
      'verify',
      '-x509_strict',
      '-purpose',
      'sslclient',
      ...ca,
      at('gateway', 'postern-gateway.crt.pem'),
    ]);
  });

  it('overwrites nothing', () => {
    const key = readFileSync(at('lamp.key.pem'), 'utf8');
    const again = run(['issue', 'device', '--id', 'lamp']);
    expect(again).toMatchObject({ code: 2, err: expect.stringContaining('is not overwritten') as string });
    expect(readFileSync(at('lamp.key.pem'), 'utf8')).toBe(key);
  });

  it('signs a request and renews a certificate with its key', () => {
    writeFileSync(
      at('x.key'),
      opensslOk(['genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256']),
    );
    writeFileSync(at('x.csr'), opensslOk(['req', '-new', '-key', at('x.key'), '-subj', '/CN=root']));
    expect(run(['sign', 'device', '--id', 'pump', '--csr', 'x.csr'])).toMatchObject({ code: 0 });
    expect(
      run(['sign', 'device', '--id', 'pump', '--csr', 'pump.crt.pem', '--out', 'renewed']),
    ).toMatchObject({ code: 0 });
    for (const path of [at('pump.crt.pem'), at('renewed', 'pump.crt.pem')]) {
      expect(opensslOk(['x509', '-noout', '-subject', '-in', path])).toMatch(/^subject=CN ?= ?pump\n$/);
      expect(opensslOk(['x509', '-noout', '-pubkey', '-in', path])).toBe(
        opensslOk(['pkey', '-pubout', '-in', at('x.key')]),
      );
    }
    expect(existsSync(at('pump.key.pem'))).toBe(false);
    expect(run(['sign', 'device', '--id', 'pump', '--csr', 'x.key'])).toMatchObject({ code: 4 });
  });

  it('revokes, and its CRL makes openssl refuse that one', () => {
    expect(run(['issue', 'device', '--id', 'lost', '--out', 'lost'])).toMatchObject({ code: 0 });
    const path = at('lost', 'lost.crt.pem');
    expect(run(['verify', path])).toMatchObject({
      code: 0,
      out: expect.stringMatching(/\ngood\n$/) as string,
    });
    expect(run(['revoke', path, '--reason', 'keyCompromise'])).toMatchObject({ code: 0 });
    expect(run(['revoke', path])).toMatchObject({
      code: 4,
      err: expect.stringContaining('already') as string,
    });
    expect(run(['revoke', 'abcdef'])).toMatchObject({ code: 4 });
    expect(run(['revoke', path, '--reason', 'boredom'])).toMatchObject({ code: 2 });
    expect(run(['verify', path])).toMatchObject({
      code: 5,
      out: expect.stringContaining('not good: it was revoked') as string,
    });
    expect(run(['crl', '--out', 'list.pem', '--hash-dir', 'crls'])).toMatchObject({
      code: 0,
      out: expect.stringContaining('number 1, 1 revoked') as string,
    });
    expect(run(['crl', '--out', 'list.pem'])).toMatchObject({
      out: expect.stringContaining('number 2, 1 revoked') as string,
    });
    const check = (file: string) =>
      openssl([
        'verify',
        '-crl_check',
        '-CRLfile',
        at('list.pem'),
        '-CAfile',
        join(data, 'ca', 'rootca.pem'),
        '-untrusted',
        join(data, 'ca', 'issuing.pem'),
        file,
      ]);
    expect(check(path).out).toContain('certificate revoked');
    expect(check(at('lamp.crt.pem')).status).toBe(0);
    expect(run(['show']).out).toMatch(/lost {2}revoked \(keyCompromise\)/);
  });

  it('tells a foreign certificate from its own', () => {
    const key = opensslOk(['genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256']);
    writeFileSync(at('f.key'), key);
    writeFileSync(at('f.pem'), opensslOk(['req', '-new', '-x509', '-key', at('f.key'), '-subj', '/CN=lamp']));
    expect(run(['verify', 'f.pem'])).toMatchObject({
      code: 5,
      out: expect.stringContaining('not signed by this CA') as string,
    });
    expect(run(['verify', 'f.key'])).toMatchObject({ code: 4 });
    expect(run(['verify', 'nowhere.pem'])).toMatchObject({ code: 1 });
  });

  it('bundles with a password from standard input or a private file, never from the arguments', () => {
    const args = ['pkcs12', '--cert', 'lamp.crt.pem', '--key', 'lamp.key.pem', '--out', 'lamp.p12'];
    expect(run([...args, '--password-file', '-'], 'secret word\n')).toMatchObject({ code: 0, err: '' });
    opensslOk(['pkcs12', '-in', at('lamp.p12'), '-passin', 'stdin', '-noout'], 'secret word\n');
    expect(statSync(at('lamp.p12')).mode & 0o777).toBe(0o600);
    writeFileSync(at('password'), 'another word\n', { mode: 0o600 });
    expect(run([...args, '--password-file', 'password'])).toMatchObject({ code: 0 });
    opensslOk(['pkcs12', '-in', at('lamp.p12'), '-passin', 'stdin', '-noout'], 'another word\n');
    chmodSync(at('password'), 0o644);
    expect(run([...args, '--password-file', 'password'])).toMatchObject({
      code: 3,
      err: expect.stringContaining('chmod 600') as string,
    });
    expect(run(args)).toMatchObject({ code: 2, err: expect.stringContaining('--password-file') as string });
    expect(run([...args, '--password', 'secret word'])).toMatchObject({ code: 2 });
    expect(run([...args, '--password-file', '-'], 'short\n')).toMatchObject({ code: 4 });
  });

  it('says how it is called', () => {
    const help = run(['--help']);
    expect(help.code).toBe(0);
    for (const word of ['init', 'show', 'issue', 'sign', 'revoke', 'crl', 'pkcs12', 'verify', 'Exit codes']) {
      expect(help.out).toContain(word);
    }
    for (const args of [
      [],
      ['nothing'],
      ['issue'],
      ['issue', 'lamp'],
      ['issue', 'device'],
      ['issue', 'device', '--id', 'x', '--dns', 'y'],
      ['issue', 'device', '--id', 'x', '--days', '-1'],
      ['init'],
    ]) {
      expect(run(args), args.join(' ')).toMatchObject({ code: 2 });
    }
    expect(run(['issue', 'device', '--id', 'A/CN=b'])).toMatchObject({ code: 4 });
  });

  it('stops at a damaged ledger or CA with a sentence and no stack trace', () => {
    const ledger = join(data, 'ca', 'issued-by-hand.json');
    const whole = readFileSync(ledger, 'utf8');
    writeFileSync(ledger, whole.slice(0, 50));
    for (const args of [
      ['show'],
      ['crl'],
      ['revoke', 'ab'],
      ['issue', 'device', '--id', 'z', '--out', 'z'],
    ]) {
      expect(run(args), args.join(' ')).toMatchObject({
        code: 3,
        err: expect.stringMatching(/^postern-certs: .*issued-by-hand\.json is damaged.*\n$/) as string,
      });
    }
    expect(existsSync(at('z'))).toBe(false);
    expect(readFileSync(ledger, 'utf8')).toBe(whole.slice(0, 50));
    writeFileSync(ledger, whole);
    const key = join(data, 'ca.key');
    const text = readFileSync(key, 'utf8');
    rmSync(key);
    expect(run(['show'])).toMatchObject({
      code: 3,
      err: expect.stringContaining('ca.key is not there') as string,
    });
    writeFileSync(key, text, { mode: 0o600 });
    expect(run(['show'])).toMatchObject({ code: 0 });
  });
});
