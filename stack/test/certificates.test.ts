import { X509Certificate } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  prepareCertificates,
  RENEW_BEFORE_MS,
  serverNames,
  type Certificates,
} from '../dist/certificates.js';
import { openDataFolder, type DataFolder } from '../dist/data-folder.js';
import { temporaryFolder } from './support/supervisor.js';

describe('the certificates of a data folder', () => {
  let home: string;
  let folder: DataFolder;
  let said: string[];
  const prepare = (hostNames: string[] = [], now?: number): Promise<Certificates> =>
    prepareCertificates({
      folder,
      keyFile: folder.at('secrets', 'key'),
      crlUrl: 'https://localhost:8443/ca/issuing.crl',
      hostNames,
      say: (text) => said.push(text),
      ...(now !== undefined && { now: () => now }),
    });
  const leaf = (file: string): X509Certificate => new X509Certificate(readFileSync(file));
  beforeEach(() => {
    home = temporaryFolder();
    folder = openDataFolder(`${home}/data`);
    said = [];
  });
  afterEach(() => rmSync(home, { recursive: true }));

  it('are made once, and answer to localhost and to the names that were given', async () => {
    const first = await prepare(['gate.example', '192.0.2.7']);
    const https = leaf(first.https.certFile);
    for (const name of ['localhost', 'gate.example']) expect(https.checkHost(name), name).toBeDefined();
    for (const address of ['127.0.0.1', '::1', '192.0.2.7'])
      expect(https.checkIP(address), address).toBeDefined();
    expect(leaf(first.brokerAuth.certFile).checkHost('gate.example')).toBeUndefined();
    said = [];
    await prepare(['gate.example', '192.0.2.7']);
    expect(said).toEqual([]);
    expect(leaf(first.https.certFile).serialNumber).toBe(https.serialNumber);
  });

  it('are renewed when the names change: those of the servers alone', async () => {
    const first = await prepare();
    const [https, gateway] = [leaf(first.https.certFile), leaf(first.gateway.certFile)];
    await prepare(['gate.example']);
    expect(said.join('\n')).toContain(
      'Renewed the certificate of the HTTPS server: it has to answer to other names.',
    );
    expect(leaf(first.https.certFile).checkHost('gate.example')).toBeDefined();
    expect(leaf(first.https.certFile).serialNumber).not.toBe(https.serialNumber);
    expect(leaf(first.gateway.certFile).serialNumber).toBe(gateway.serialNumber);
  });

  it('are renewed when they have less than 30 days left, and not before', async () => {
    const first = await prepare();
    const before = leaf(first.gateway.certFile);
    const end = Date.parse(before.validTo);
    await prepare([], end - RENEW_BEFORE_MS);
    expect(leaf(first.gateway.certFile).serialNumber).toBe(before.serialNumber);
    await prepare([], end - RENEW_BEFORE_MS + 1_000);
    expect(leaf(first.gateway.certFile).serialNumber).not.toBe(before.serialNumber);
    expect(said.join('\n')).toContain('Renewed the certificate of the gateway: it ends on');
  });

  it.each(['key', 'certificate'])(
    'stop the start where a %s is damaged, and are not made anew',
    async (part) => {
      const { https } = await prepare();
      const file = part === 'key' ? https.keyFile : https.certFile;
      writeFileSync(file, 'nonsense');
      await expect(prepare()).rejects.toMatchObject({
        code: 'LEAF_DAMAGED',
        message: expect.stringContaining(file),
      });
      expect(readFileSync(file, 'utf8')).toBe('nonsense');
    },
  );

  it('stop the start where the authority is gone but its leaves are there', async () => {
    await prepare();
    renameSync(folder.at('ca'), `${home}/elsewhere`);
    await expect(prepare()).rejects.toMatchObject({ code: 'CA_MISSING' });
    expect(existsSync(folder.at('ca'))).toBe(false);
    // Also where somebody made an empty folder in its place.
    mkdirSync(folder.at('ca'));
    await expect(prepare()).rejects.toMatchObject({ code: 'CA_MISSING' });
  });

  it('are whole after a crash between the two files of a renewal', async () => {
    const first = await prepare();
    const { keyFile, certFile } = first.https;
    const [oldKey, oldCert] = [readFileSync(keyFile), readFileSync(certFile)];
    await prepare(['gate.example']);
    const [newKey, newCert] = [readFileSync(keyFile), readFileSync(certFile)];
    // As it is when the key was put in its place, and the certificate was not yet.
    writeFileSync(certFile, oldCert);
    writeFileSync(`${certFile}.new`, newCert);
    await prepare(['gate.example']);
    expect([readFileSync(keyFile), readFileSync(certFile)]).toEqual([newKey, newCert]);
    // As it is when only the new key was written.
    writeFileSync(keyFile, oldKey);
    writeFileSync(certFile, oldCert);
    writeFileSync(`${keyFile}.new`, newKey);
    await prepare();
    expect([readFileSync(keyFile), readFileSync(certFile)]).toEqual([oldKey, oldCert]);
    expect(existsSync(`${keyFile}.new`)).toBe(false);
  });
});

describe('the names of a server certificate', () => {
  it('leave out a machine name that no certificate may hold', () => {
    expect(serverNames([], 'my_box').dnsNames).toEqual(['localhost']);
    expect(serverNames([], 'box-7').dnsNames).toEqual(['localhost', 'box-7']);
    expect(serverNames(['BOX-7', '::1'], 'box-7')).toEqual({
      dnsNames: ['localhost', 'box-7'],
      ipAddresses: ['127.0.0.1', '::1'],
    });
  });
});
