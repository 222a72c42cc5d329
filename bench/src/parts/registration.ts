import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { readFileSync } from 'node:fs';
import { say, type Bench, type Found } from '../bench.js';
import { round } from '../stats.js';
import type { RegisterReport, RegisterRun } from '../workers/http.js';

/** Registrations at a time. */
const IN_FLIGHT = 16;

/** Certificates per second: with keys that the gateway makes, and from a CSR. */
export async function registration(bench: Bench, found: Found): Promise<void> {
  const { plan, account, http } = bench;
  say('\nRegistration');
  await account.logIn();
  const csr = makeCsr(bench.stack.dir);
  const kinds: { name: string; count: number; options: Pick<RegisterRun, 'keyType' | 'csr'> }[] = [
    {
      name: 'EC P-256 key made by the gateway',
      count: plan.registration.ec,
      options: { keyType: 'ec-p256' },
    },
    {
      name: 'RSA-2048 key made by the gateway',
      count: plan.registration.rsa,
      options: { keyType: 'rsa-2048' },
    },
    { name: 'EC P-256, from a CSR', count: plan.registration.csr, options: { csr } },
  ];
  for (const { name, count, options } of kinds) {
    const prefix = `reg-${Object.keys(options)[0]}-${Object.values(options)[0]!.slice(0, 2)}`.replace(
      /[^a-zA-Z-]/g,
      'x',
    );
    const report = await http.ask<RegisterReport>('register', {
      target: bench.target(),
      accessToken: account.accessToken,
      names: Array.from({ length: count }, (_, index) => `${prefix}-${index}`),
      inFlight: IN_FLIGHT,
      ...options,
    } satisfies RegisterRun);
    const failed = Object.values(report.failures).reduce((sum, times) => sum + times, 0);
    found.registration.push({ name, certificates: count, perSecond: round(report.perSecond), failed });
    say(
      `${name.padEnd(46)} ${report.perSecond.toFixed(0).padStart(7)}/s${failed > 0 ? ` FAILED ${JSON.stringify(report.failures)}` : ''}`,
    );
  }
}

/** One request serves all: the gateway takes nothing of it but the key. */
function makeCsr(dir: string): string {
  const out = join(dir, 'bench.csr');
  execFileSync(
    'openssl',
    [
      'req',
      '-new',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-subj',
      '/CN=bench',
      '-keyout',
      join(dir, 'bench.key'),
      '-out',
      out,
    ],
    { stdio: 'ignore' },
  );
  return readFileSync(out, 'utf8');
}
