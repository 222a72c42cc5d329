import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { KEY_TYPES, type KeyType } from '@postern/protocol';
import { createAuthority } from '../create-authority.js';
import { describeCertificate, whyNotGood } from '../describe.js';
import { replaceFile } from '../durable-files.js';
import { writeCrlToFolder } from '../crl-folder.js';
import { readLedger, revokedEntries, revokeInLedger, updateLedger } from '../ledger.js';
import { openAuthority } from '../open-authority.js';
import { makePkcs12 } from '../pkcs12.js';
import { readPrivateFile } from '../key-file.js';
import { CRL_REASONS, type Authority, type AuthorityKeyType, type CrlReason } from '../types.js';
import { EXIT, EXIT_CODES_HELP } from './exit-codes.js';
import { issue, PROFILES, type IssueOptions, type Profile } from './issue.js';
import type { CommandIo } from './io.js';
import { newPassword } from './passwords.js';

interface CaOptions {
  ca: string;
  keyFile: string;
}

/** What the command keeps beside the CA's own files. */
export const LEDGER_FILE = 'issued-by-hand.json';

export function program(io: CommandIo, outcome: { exitCode: number }): Command {
  const data = io.env.POSTERN_DATA_DIR || '.postern';
  const root = new Command('postern-certs')
    .description("Postern's certificate authority, by hand. A running gateway does the same by itself.")
    .exitOverride()
    .configureOutput({ writeOut: (text) => io.out(text), writeErr: (text) => io.err(text) })
    .addHelpText('after', EXIT_CODES_HELP)
    .showHelpAfterError('(postern-certs --help tells more)');
  const ca = (command: Command): Command =>
    command
      .option('--ca <folder>', "the CA's folder", join(data, 'ca'))
      .option('--key-file <file>', "0600 file with the key that opens the CA's keys", join(data, 'ca.key'));
  const open = (options: CaOptions): Promise<Authority> =>
    openAuthority({ dir: options.ca, keyFile: options.keyFile });
  const line = (text: string): void => io.out(`${text}\n`);

  ca(root.command('init'))
    .description('make a root and an issuing CA in a new folder (and the key file, where there is none)')
    .requiredOption('--crl-url <url>', 'public URL of the CRL, which all certificates name')
    .option('--name <name>', "stands in the CAs' names", 'Postern')
    .addOption(
      new Option('--key-type <type>', 'key of both CAs').choices(['ec-p256', 'rsa-3072']).default('ec-p256'),
    )
    .action(async (options: CaOptions & { crlUrl: string; name: string; keyType: AuthorityKeyType }) => {
      await createAuthority({
        dir: options.ca,
        keyFile: options.keyFile,
        crlUrl: options.crlUrl,
        name: options.name,
        keyType: options.keyType,
      });
      line(`CA made in ${options.ca}; clients trust ${join(options.ca, 'rootca.pem')}`);
      line(`Keep a copy of ${options.keyFile} elsewhere: without it nothing can be issued again.`);
    });

  ca(root.command('show'))
    .description('check the CA and say what it is and what was issued by hand')
    .action(async (options: CaOptions) => {
      const authority = await open(options);
      for (const pem of [authority.rootCaPem, authority.issuingCaPem]) {
        const { commonName, notAfter, fingerprintSha256 } = describeCertificate(pem);
        line(`${commonName}\n  good until ${iso(notAfter)}\n  SHA-256 ${fingerprintSha256}`);
      }
      line(`CRL at ${authority.crlUrl}`);
      const { certificates } = await readLedger(ledgerOf(options));
      for (const entry of certificates) {
        const state = entry.revokedAt === null ? `until ${iso(entry.notAfter)}` : `revoked (${entry.reason})`;
        line(`${entry.serial}  ${entry.profile}  ${entry.commonName}  ${state}`);
      }
    });

  const withLeafOptions = (command: Command): Command =>
    ca(command)
      .option('--id <deviceId>', 'device: the device id')
      .option('--cn <name>', 'gateway: the common name (begins with "postern-")')
      .option('--dns <name>', 'broker, https: a DNS name; may be repeated', collect, [])
      .option('--ip <address>', 'broker, https: an IP address; may be repeated', collect, [])
      .option('--days <number>', 'days it is good for', positive)
      .option('--out <folder>', 'where the files go', '.');

  withLeafOptions(root.command('issue'))
    .description(
      'make a key and a certificate for it: <name>.crt.pem (with the issuing CA) and <name>.key.pem',
    )
    .argument('<profile>', `one of ${PROFILES.join(', ')}`, profile)
    .addOption(new Option('--key-type <type>', 'key to make').choices([...KEY_TYPES]).default('ec-p256'))
    .action(async (chosen: Profile, options: CaOptions & IssueOptions & { keyType: KeyType }) => {
      await issue(
        await open(options),
        chosen,
        { ...options, ledger: ledgerOf(options), source: { keyType: options.keyType } },
        line,
      );
    });

  withLeafOptions(root.command('sign'))
    .description(
      'certify the key of a request (PKCS#10), or a certified one again; no other of its wishes counts',
    )
    .argument('<profile>', `one of ${PROFILES.join(', ')}`, profile)
    .requiredOption('--csr <file>', 'the request, PEM; a certificate here is renewed with its key')
    .action(async (chosen: Profile, options: CaOptions & IssueOptions & { csr: string }) => {
      const pem = await readFile(options.csr, 'utf8');
      const source = pem.includes('BEGIN CERTIFICATE-----') ? { publicKeyPem: pem } : { csrPem: pem };
      await issue(await open(options), chosen, { ...options, ledger: ledgerOf(options), source }, line);
    });

  ca(root.command('revoke'))
    .description('mark a certificate that was issued by hand as revoked; "crl" then publishes it')
    .argument('<serial-or-file>', 'its serial, or a file with the certificate')
    .addOption(
      new Option('--reason <reason>', 'RFC 5280 5.3.1')
        .choices(Object.keys(CRL_REASONS))
        .default('unspecified'),
    )
    .action(async (given: string, options: CaOptions & { reason: CrlReason }) => {
      await open(options);
      const serial = /^[0-9a-fA-F:]{1,60}$/.test(given)
        ? given.replaceAll(':', '').toLowerCase()
        : describeCertificate(await readFile(given, 'utf8')).serial;
      const entry = await updateLedger(ledgerOf(options), (ledger) =>
        revokeInLedger(ledger, { serial, reason: options.reason, now: Date.now() }),
      );
      line(`${entry.serial} (${entry.commonName}) is revoked: ${options.reason}`);
    });

  ca(root.command('crl'))
    .description('sign a CRL of what was revoked by hand')
    .option('--out <file>', 'where it goes, PEM', 'crl.pem')
    .option('--hash-dir <folder>', 'put it there too, named as Erlang and OpenSSL look for it')
    .addHelpText(
      'after',
      '\nA gateway publishes a CRL of its own registry. Do not put this one in its place: it would\nmake the devices that were revoked there good again.',
    )
    .action(async (options: CaOptions & { out: string; hashDir?: string }) => {
      const authority = await open(options);
      const ledger = await updateLedger(ledgerOf(options), (before) => {
        const after = { ...before, crlNumber: before.crlNumber + 1 };
        return { ledger: after, result: after };
      });
      const entries = revokedEntries(ledger, Date.now());
      const crl = await authority.buildCrl({ entries, number: ledger.crlNumber });
      await replaceFile(resolve(options.out), crl.pem, 0o644);
      line(
        `${options.out}: number ${crl.number}, ${entries.length} revoked, good until ${iso(crl.nextUpdate)}`,
      );
      if (options.hashDir !== undefined) line(await writeCrlToFolder(options.hashDir, crl));
    });

  root
    .command('pkcs12')
    .description('bundle a certificate, its chain and its key; the password is asked for or read from a file')
    .requiredOption('--cert <file>', 'certificate and chain, PEM')
    .requiredOption('--key <file>', 'the private key, PEM, 0600')
    .requiredOption('--out <file>', 'the bundle')
    .option('--password-file <file>', 'its first line is the password; "-" is standard input')
    .action(async (options: { cert: string; key: string; out: string; passwordFile?: string }) => {
      const chainPem = await readFile(options.cert, 'utf8');
      const privateKeyPem = await readPrivateFile(options.key, 'The private key');
      const password = await newPassword(options.passwordFile, io);
      await replaceFile(resolve(options.out), await makePkcs12({ chainPem, privateKeyPem, password }), 0o600);
      line(`${options.out} written`);
    });

  ca(root.command('verify'))
    .description('whether a certificate is good: signed by this CA, in its time, not revoked by hand')
    .argument('<file>', 'certificate, PEM')
    .action(async (file: string, options: CaOptions) => {
      const pem = await readFile(file, 'utf8');
      const { serial, commonName, usage, notAfter } = describeCertificate(pem);
      const reason = whyNotGood(pem, await open(options), Date.now());
      const { certificates } = await readLedger(ledgerOf(options));
      const revoked = certificates.find((entry) => entry.serial === serial && entry.revokedAt !== null);
      const objection = reason ?? (revoked ? `it was revoked (${revoked.reason})` : undefined);
      line(`${commonName} (${usage}, serial ${serial}, until ${iso(notAfter)})`);
      line(objection === undefined ? 'good' : `not good: ${objection}`);
      outcome.exitCode = objection === undefined ? EXIT.ok : EXIT.notGood;
    });

  return root;
}

const ledgerOf = (options: CaOptions): string => join(options.ca, LEDGER_FILE);
const iso = (epochMs: number): string => new Date(epochMs).toISOString();
const collect = (value: string, before: string[]): string[] => [...before, value];

function positive(value: string): number {
  const number = Number(value);
  if (!(number > 0)) throw new InvalidArgumentError('It must be a number above 0.');
  return number;
}

function profile(value: string): Profile {
  const found = PROFILES.find((name) => name === value);
  if (found === undefined) throw new InvalidArgumentError(`It must be one of ${PROFILES.join(', ')}.`);
  return found;
}
