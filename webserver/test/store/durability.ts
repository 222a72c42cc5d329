import { expect } from 'vitest';
import type { Store } from '../../src/domain/store.js';
import { runStoreProcess } from './programs/run.js';
import { T0 } from './conformance/records.js';

/**
 * Kills a process -9 while it writes, and looks in a store over the same place for all that it had said was
 * acknowledged.
 */
export async function expectKillLosesNothing(
  argv: readonly string[],
  open: () => Promise<Store>,
): Promise<void> {
  const writer = runStoreProcess([...argv, 'write']);
  try {
    await expect
      .poll(() => writer.lines.length, { timeout: 20_000, message: writer.stderr() })
      .toBeGreaterThan(100);
  } finally {
    writer.kill();
  }
  const said = await writer.ended;
  const store = await open();
  try {
    await expectAcknowledged(store, said);
  } finally {
    await store.close();
  }
}

export async function expectAcknowledged(store: Store, said: readonly string[]): Promise<void> {
  const removed = new Set(
    said.filter((line) => line.startsWith('removed ')).map((line) => line.split(' ')[1]),
  );
  const crlNumbers: number[] = [];
  const seen = { user: 0, device: 0, removed: removed.size, crl: 0 };
  for (const line of said) {
    const [what, id = '', serial = ''] = line.split(' ');
    if (what === 'user') {
      seen.user++;
      expect(await store.findUserById(id), line).not.toBeNull();
    } else if (what === 'device') {
      seen.device++;
      expect(await store.findDeviceById(id), line).not.toBeNull();
      expect((await store.findCertificate(serial))?.deviceId, line).toBe(id);
      if (removed.has(id)) expect(await store.hasValidCertificate(id, T0), line).toBe(false);
    } else if (what === 'crl') {
      seen.crl++;
      crlNumbers.push(Number(id));
    }
  }
  for (const [what, count] of Object.entries(seen)) expect(count, what).toBeGreaterThan(0);
  expect(new Set(crlNumbers).size).toBe(crlNumbers.length);
  expect(await store.nextCrlNumber()).toBeGreaterThan(Math.max(...crlNumbers));
}
