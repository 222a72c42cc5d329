import { mkdir, open, readFile, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { CertsError } from './errors.js';
import { isErrno, replaceFile } from './durable-files.js';
import { CRL_REASONS, type CrlEntry, type CrlReason } from './types.js';

/** The list of what was issued by hand is damaged; it is not begun anew, since revocations would be lost. */
export class LedgerDamagedError extends CertsError {
  readonly code = 'LEDGER_DAMAGED';
}
/** Another command holds the list, or one that was killed left its lock. */
export class LedgerBusyError extends CertsError {
  readonly code = 'LEDGER_BUSY';
}
/** The list has no such certificate, or it is revoked already. */
export class LedgerEntryError extends CertsError {
  readonly code = 'LEDGER_ENTRY';
}

const LOCK_TIMEOUT_MS = 10_000;
const LOCK_POLL_MS = 50;

const entrySchema = z.strictObject({
  serial: z.string().regex(/^[0-9a-f]{1,40}$/),
  profile: z.string(),
  commonName: z.string(),
  notAfter: z.int(),
  revokedAt: z.int().nullable(),
  reason: z.enum(Object.keys(CRL_REASONS) as [CrlReason, ...CrlReason[]]).nullable(),
});
export type LedgerEntry = z.infer<typeof entrySchema>;
const ledgerSchema = z.strictObject({
  format: z.literal(1),
  crlNumber: z.int().nonnegative(),
  certificates: z.array(entrySchema),
});
export type Ledger = z.infer<typeof ledgerSchema>;

/** What the command has issued and revoked by hand. An empty list where the file is not there. */
export async function readLedger(path: string): Promise<Ledger> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return { format: 1, crlNumber: 0, certificates: [] };
    throw error;
  }
  try {
    return ledgerSchema.parse(JSON.parse(text));
  } catch (error) {
    throw new LedgerDamagedError(
      `${path} is damaged. Restore it from a backup: it says which certificates are revoked.`,
      { cause: error },
    );
  }
}

/** Changes the list under a lock, and has it on the disk before resolving. */
export async function updateLedger<Result>(
  path: string,
  change: (ledger: Ledger) => { ledger: Ledger; result: Result },
): Promise<Result> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const release = await lock(`${path}.lock`);
  try {
    const { ledger, result } = change(await readLedger(path));
    await replaceFile(path, `${JSON.stringify(ledger, null, 1)}\n`, 0o600);
    return result;
  } finally {
    await release();
  }
}

/** What a CRL lists: what was revoked and has not expired, since nobody takes an expired one anyway. */
export function revokedEntries(ledger: Ledger, now: number): CrlEntry[] {
  return ledger.certificates.flatMap(({ serial, revokedAt, reason, notAfter }) =>
    revokedAt === null || notAfter < now ? [] : [{ serial, revokedAt, reason: reason ?? 'unspecified' }],
  );
}

export function revokeInLedger(
  ledger: Ledger,
  revocation: { serial: string; reason: CrlReason; now: number },
): { ledger: Ledger; result: LedgerEntry } {
  const { serial, reason, now } = revocation;
  const found = ledger.certificates.find((entry) => entry.serial === serial);
  if (found === undefined) {
    throw new LedgerEntryError(
      `No certificate ${serial} was issued by hand. One that a gateway issued is revoked there.`,
    );
  }
  if (found.revokedAt !== null) {
    throw new LedgerEntryError(
      `The certificate ${serial} was revoked on ${new Date(found.revokedAt).toISOString()} already.`,
    );
  }
  const revoked = { ...found, revokedAt: now, reason };
  return {
    ledger: {
      ...ledger,
      certificates: ledger.certificates.map((entry) => (entry === found ? revoked : entry)),
    },
    result: revoked,
  };
}

async function lock(path: string): Promise<() => Promise<void>> {
  const deadline = Date.now() + LOCK_TIMEOUT_MS;
  for (;;) {
    try {
      const handle = await open(path, 'wx', 0o600);
      await handle.close();
      return () => rm(path, { force: true });
    } catch (error) {
      if (!isErrno(error, 'EEXIST')) throw error;
      if (Date.now() > deadline) {
        throw new LedgerBusyError(
          `${path} is held by another command: wait for it, or remove that file if none runs.`,
        );
      }
      await delay(LOCK_POLL_MS);
    }
  }
}
