import { describe, expect, it } from 'vitest';
import type { Device } from '../../../src/domain/model.js';
import type { DeviceStore, Page } from '../../../src/domain/store.js';
import type { StoreUnderTest } from './harness.js';
import { T0, aCertificate, aDevice, aPresence, atOnce, hex } from './records.js';

/** A device with its first certificate, in the store. */
async function registered(store: DeviceStore, change: Partial<Device> = {}) {
  const device = aDevice(change);
  const certificate = aCertificate(device.id);
  expect(await store.insertDevice(device, certificate, 1000)).toBe('ok');
  return { device, certificate };
}

export function deviceConformance(stores: () => StoreUnderTest): void {
  describe('devices', () => {
    it('are found by name and id, with the first certificate', async () => {
      const { a, b } = stores();
      for (const change of [
        {},
        { origin: 'flat', keyType: 'rsa-2048', passwordHash: hex(), sealedKey: 'v1.sealed' },
      ] as Partial<Device>[]) {
        const { device, certificate } = await registered(a, change);
        expect(await b.findDeviceByName(device.ownerId, device.name)).toEqual(device);
        expect(await b.findDeviceById(device.id)).toEqual(device);
        expect(await b.listCertificates(device.id)).toEqual([certificate]);
        expect(await b.findCertificate(certificate.serial)).toEqual(certificate);
      }
    });

    it('of another owner or another name are not found', async () => {
      const { a } = stores();
      const { device } = await registered(a);
      expect(await a.findDeviceByName(aDevice().ownerId, device.name)).toBeNull();
      expect(await a.findDeviceByName(device.ownerId, device.name.toUpperCase())).toBeNull();
      expect(await a.findDeviceById(aDevice().id)).toBeNull();
      expect(await a.findCertificate(hex(16))).toBeNull();
      expect(await a.listCertificates(aDevice().id)).toEqual([]);
    });

    it('have a name once for each owner; a refused one leaves nothing behind', async () => {
      const { a } = stores();
      const { device } = await registered(a);
      const second = aDevice({ ownerId: device.ownerId, name: device.name });
      const certificate = aCertificate(second.id);
      expect(await a.insertDevice(second, certificate, 1000)).toBe('name_taken');
      // The name is what the caller must change, also where the quota is used up.
      expect(await a.insertDevice(second, certificate, 1)).toBe('name_taken');
      expect(await a.findDeviceById(second.id)).toBeNull();
      expect(await a.findCertificate(certificate.serial)).toBeNull();
      await registered(a, { name: device.name });
    });

    it('of 50 registrations of one name at once, one wins', async () => {
      const { a, b } = stores();
      const { ownerId, name } = aDevice();
      const devices = Array.from({ length: 50 }, () => aDevice({ ownerId, name }));
      const results = await atOnce(50, (i) =>
        (i % 2 ? a : b).insertDevice(devices[i]!, aCertificate(devices[i]!.id), 1000),
      );
      expect(results.filter((result) => result === 'ok')).toHaveLength(1);
      expect(results.filter((result) => result === 'name_taken')).toHaveLength(49);
      expect(await a.findDeviceByName(ownerId, name)).toEqual(devices[results.indexOf('ok')]);
    });

    it('stop at the quota, of which removed ones are no part', async () => {
      const { a } = stores();
      const { ownerId } = aDevice();
      const add = (max: number, name = `n${hex(4)}`) => {
        const device = aDevice({ ownerId, name });
        return a.insertDevice(device, aCertificate(device.id), max);
      };
      expect(await add(0)).toBe('quota');
      expect(await add(2, 'first')).toBe('ok');
      expect(await add(2)).toBe('ok');
      expect(await add(2)).toBe('quota');
      expect(await add(3)).toBe('ok');
      await a.removeDevice(ownerId, 'first', T0, 'cessationOfOperation');
      expect(await add(2)).toBe('quota');
      expect(await add(3)).toBe('ok');
      expect(await add(3)).toBe('quota');
    });

    it('of 40 registrations at once under a quota of 7, seven win', async () => {
      const { a, b } = stores();
      const { ownerId } = aDevice();
      const results = await atOnce(40, (i) => {
        const device = aDevice({ ownerId });
        return (i % 2 ? a : b).insertDevice(device, aCertificate(device.id), 7);
      });
      expect(results.filter((result) => result === 'ok')).toHaveLength(7);
      expect(results.filter((result) => result === 'quota')).toHaveLength(33);
      expect((await a.listDevices(ownerId, { limit: 100, after: null })).items).toHaveLength(7);
    });
  });

  describe('pages of devices', () => {
    it('are in order of code points and end with null', async () => {
      const { a, b } = stores();
      const { ownerId } = aDevice();
      const names = ['b', 'a', 'B', 'A z', 'A', 'a-1', 'a.1', 'a1', 'Z', '0', '9', '10'];
      for (const name of names) await registered(a, { ownerId, name });
      await registered(a, { name: 'AAA' });
      const sorted = names.slice().sort((x, y) => (x < y ? -1 : 1));
      for (const limit of [1, 5, 12, 13]) {
        const seen: string[] = [];
        let after: string | null = null;
        let pages = 0;
        do {
          const page: Page<Device> = await b.listDevices(ownerId, { limit, after });
          expect(page.items.length).toBeLessThanOrEqual(limit);
          seen.push(...page.items.map(({ name }) => name));
          after = page.next;
          pages++;
        } while (after !== null);
        expect(seen).toEqual(sorted);
        expect(pages).toBe(Math.ceil(names.length / limit));
      }
      expect(await a.listDevices(aDevice().ownerId, { limit: 5, after: null })).toEqual({
        items: [],
        next: null,
      });
      expect(await a.listDevices(ownerId, { limit: 5, after: 'zzz' })).toEqual({ items: [], next: null });
      expect((await a.listDevices(ownerId, { limit: 1, after: 'A y' })).items[0]?.name).toBe('A z');
    });

    it('neither repeat nor lose what was there, while others come and go', async () => {
      const { a, b } = stores();
      const { ownerId } = aDevice();
      const stay = Array.from({ length: 20 }, (_, i) => `stay-${String(i).padStart(2, '0')}`);
      for (const name of stay) await registered(a, { ownerId, name });
      for (let i = 0; i < 10; i++) await registered(a, { ownerId, name: `go-${i}` });
      const seen: string[] = [];
      let after: string | null = null;
      let round = 0;
      do {
        const [page]: [Page<Device>, ...unknown[]] = await Promise.all([
          a.listDevices(ownerId, { limit: 3, after }),
          registered(b, { ownerId, name: `a-${hex(3)}` }),
          registered(b, { ownerId, name: `stay-${hex(3)}z` }),
          b.removeDevice(ownerId, `go-${round++}`, T0, 'unspecified'),
        ]);
        seen.push(...page.items.map(({ name }) => name));
        after = page.next;
      } while (after !== null);
      expect(new Set(seen).size).toBe(seen.length);
      expect(seen.filter((name) => stay.includes(name))).toEqual(stay);
    });
  });

  describe('removal of a device', () => {
    it('ends it and all its certificates, and frees its name', async () => {
      const { a, b } = stores();
      const { device, certificate } = await registered(a);
      const second = aCertificate(device.id, { issuedAt: T0 + 1 });
      const third = aCertificate(device.id, { issuedAt: T0 + 2 });
      for (const each of [second, third]) await a.addCertificate(each, { maxCertificates: 5 });
      await a.revokeCertificate(device.id, second.serial, T0 + 3, 'keyCompromise');
      expect(await b.removeDevice(device.ownerId, device.name, T0 + 5, 'cessationOfOperation')).toEqual({
        ...device,
        removedAt: T0 + 5,
      });
      expect(await a.findDeviceByName(device.ownerId, device.name)).toBeNull();
      expect(await a.findDeviceById(device.id)).toEqual({ ...device, removedAt: T0 + 5 });
      expect(await a.hasValidCertificate(device.id, T0)).toBe(false);
      expect(await a.listDevices(device.ownerId, { limit: 5, after: null })).toEqual({
        items: [],
        next: null,
      });
      const gone = { revokedAt: T0 + 5, revocationReason: 'cessationOfOperation' };
      expect(await a.listCertificates(device.id)).toEqual([
        { ...third, ...gone },
        { ...second, revokedAt: T0 + 3, revocationReason: 'keyCompromise' },
        { ...certificate, ...gone },
      ]);
      expect(await a.removeDevice(device.ownerId, device.name, T0 + 6, 'unspecified')).toBeNull();
      expect(await a.addCertificate(aCertificate(device.id), { maxCertificates: 50 })).toBe(false);
      const { device: next } = await registered(b, { ownerId: device.ownerId, name: device.name });
      expect(await a.findDeviceByName(device.ownerId, device.name)).toEqual(next);
      expect(await a.removeDevice(device.ownerId, device.name, T0 + 7, 'unspecified')).toEqual({
        ...next,
        removedAt: T0 + 7,
      });
    });

    it('is for its owner alone, and happens once', async () => {
      const { a, b } = stores();
      const { device } = await registered(a);
      expect(await a.removeDevice(aDevice().ownerId, device.name, T0, 'unspecified')).toBeNull();
      const results = await atOnce(20, (i) =>
        (i % 2 ? a : b).removeDevice(device.ownerId, device.name, T0 + i, 'superseded'),
      );
      expect(results.filter((result) => result !== null)).toHaveLength(1);
    });

    it('leaves no valid certificate, however renewals race it', async () => {
      const { a, b } = stores();
      for (let round = 0; round < 10; round++) {
        const { device } = await registered(a);
        const added: string[] = [];
        await Promise.all([
          ...Array.from({ length: 6 }, async (_, i) => {
            const certificate = aCertificate(device.id);
            if (await (i % 2 ? a : b).addCertificate(certificate, { maxCertificates: 50 }))
              added.push(certificate.serial);
          }),
          b.removeDevice(device.ownerId, device.name, T0 + 5, 'unspecified'),
        ]);
        expect(await a.hasValidCertificate(device.id, T0)).toBe(false);
        const certificates = await a.listCertificates(device.id);
        expect(certificates).toHaveLength(added.length + 1);
        expect(certificates.filter(({ revokedAt }) => revokedAt === null)).toEqual([]);
      }
    });
  });

  describe('certificates', () => {
    it('are listed newest first', async () => {
      const { a } = stores();
      const { device, certificate } = await registered(a);
      const renewals = [3, 1, 2].map((i) => aCertificate(device.id, { issuedAt: T0 + i }));
      for (const each of renewals) expect(await a.addCertificate(each, { maxCertificates: 9 })).toBe(true);
      expect(await a.listCertificates(device.id)).toEqual([
        renewals[0],
        renewals[2],
        renewals[1],
        certificate,
      ]);
    });

    it('are limited by what is neither revoked nor expired', async () => {
      const { a } = stores();
      const { device, certificate } = await registered(a);
      const add = (issuedAt: number) =>
        a.addCertificate(aCertificate(device.id, { issuedAt, notAfter: issuedAt + 1000 }), {
          maxCertificates: 2,
        });
      expect(await add(T0)).toBe(true);
      expect(await add(T0)).toBe(false);
      expect(await add(T0 + 1000)).toBe(false);
      expect(await add(T0 + 1001)).toBe(true);
      expect(await add(T0 + 1001)).toBe(false);
      await a.revokeCertificate(device.id, certificate.serial, T0 + 1001, 'superseded');
      expect(await add(T0 + 1001)).toBe(true);
      expect(await add(T0 + 1001)).toBe(false);
    });

    it('of 30 renewals at once under a limit of 4, three win beside the first', async () => {
      const { a, b } = stores();
      const { device } = await registered(a);
      const results = await atOnce(30, (i) =>
        (i % 2 ? a : b).addCertificate(aCertificate(device.id), { maxCertificates: 4 }),
      );
      expect(results.filter(Boolean)).toHaveLength(3);
      expect(await a.listCertificates(device.id)).toHaveLength(4);
    });

    it('bring the sealed key along, or leave it', async () => {
      const { a } = stores();
      const { device } = await registered(a, { origin: 'flat', sealedKey: 'old' });
      await a.addCertificate(aCertificate(device.id), { maxCertificates: 2 });
      expect(await a.findDeviceById(device.id)).toEqual(device);
      await a.removeDevice(device.ownerId, 'no such', T0, 'unspecified');
      await a.addCertificate(aCertificate(device.id), { maxCertificates: 3, sealedKey: 'new' });
      expect(await a.findDeviceById(device.id)).toEqual({ ...device, sealedKey: 'new' });
      expect(await a.addCertificate(aCertificate(device.id), { maxCertificates: 3, sealedKey: 'late' })).toBe(
        false,
      );
      expect((await a.findDeviceById(device.id))?.sealedKey).toBe('new');
    });

    it('are refused for a device that is not there', async () => {
      const { a } = stores();
      expect(await a.addCertificate(aCertificate(aDevice().id), { maxCertificates: 2 })).toBe(false);
    });

    it('are revoked once, by device and serial', async () => {
      const { a, b } = stores();
      const { device, certificate } = await registered(a);
      const { device: other } = await registered(a);
      expect(await a.revokeCertificate(other.id, certificate.serial, T0, 'unspecified')).toBe('not_found');
      expect(await a.revokeCertificate(device.id, hex(16), T0, 'unspecified')).toBe('not_found');
      const results = await atOnce(20, (i) =>
        (i % 2 ? a : b).revokeCertificate(device.id, certificate.serial, T0 + i, 'keyCompromise'),
      );
      expect(results.filter((result) => result === 'ok')).toHaveLength(1);
      expect(results.filter((result) => result === 'already')).toHaveLength(19);
      expect(await b.findCertificate(certificate.serial)).toEqual({
        ...certificate,
        revokedAt: T0 + results.indexOf('ok'),
        revocationReason: 'keyCompromise',
      });
      expect(await a.hasValidCertificate(device.id, T0)).toBe(false);
      expect(await a.hasValidCertificate(other.id, T0)).toBe(true);
    });

    it('are valid up to and including notAfter (RFC 5280 4.1.2.5)', async () => {
      const { a } = stores();
      const { device, certificate } = await registered(a);
      expect(await a.hasValidCertificate(device.id, certificate.notAfter)).toBe(true);
      expect(await a.hasValidCertificate(device.id, certificate.notAfter + 1)).toBe(false);
      expect(await a.hasValidCertificate(aDevice().id, T0)).toBe(false);
      await a.addCertificate(aCertificate(device.id, { notAfter: certificate.notAfter + 5 }), {
        maxCertificates: 5,
      });
      await a.revokeCertificate(device.id, certificate.serial, T0, 'superseded');
      expect(await a.hasValidCertificate(device.id, certificate.notAfter + 5)).toBe(true);
    });

    it('that are revoked and unexpired make the CRL, by serial', async () => {
      const { a, b } = stores();
      const { device, certificate } = await registered(a);
      const serials = ['00ff', 'ffff', '0a'].map((prefix) => prefix + hex(16).slice(4));
      for (const serial of serials)
        await a.addCertificate(aCertificate(device.id, { serial }), { maxCertificates: 9 });
      const short = aCertificate(device.id, { notAfter: T0 + 1000 });
      await a.addCertificate(short, { maxCertificates: 9 });
      for (const [i, serial] of [...serials, short.serial].entries())
        await a.revokeCertificate(device.id, serial, T0 + i, i ? 'superseded' : 'keyCompromise');
      const mine = async (now: number) =>
        (await b.listRevoked(now)).filter(({ serial }) =>
          [...serials, short.serial, certificate.serial].includes(serial),
        );
      const expected = serials
        .map((serial, i) => ({ serial, revokedAt: T0 + i, reason: i ? 'superseded' : 'keyCompromise' }))
        .sort((x, y) => (x.serial < y.serial ? -1 : 1));
      expect(await mine(T0 + 1001)).toEqual(expected);
      expect((await mine(T0 + 1000)).map(({ serial }) => serial)).toContain(short.serial);
      const all = (await b.listRevoked(T0)).map(({ serial }) => serial);
      expect(all).toEqual(all.slice().sort());
      expect(await mine(certificate.notAfter + 1)).toEqual([]);
    });

    it('have CRL numbers that only grow, over all instances', async () => {
      const { a, b } = stores();
      const first = await a.nextCrlNumber();
      expect(Number.isSafeInteger(first) && first > 0).toBe(true);
      const numbers = await atOnce(50, (i) => (i % 2 ? a : b).nextCrlNumber());
      expect(new Set(numbers).size).toBe(50);
      expect(Math.min(...numbers)).toBeGreaterThan(first);
      expect(await b.nextCrlNumber()).toBeGreaterThan(Math.max(...numbers));
    });
  });

  describe('purge of devices', () => {
    it('deletes removed ones once their certificates have expired, and nothing else', async () => {
      const { a, b } = stores();
      const gone = await registered(a);
      const later = await registered(a);
      const live = await registered(a);
      const longest = aCertificate(later.device.id, { notAfter: later.certificate.notAfter + 1 });
      await a.addCertificate(longest, { maxCertificates: 5 });
      await a.savePresence([aPresence({ deviceId: gone.device.id, connected: false })]);
      await a.savePresence([aPresence({ deviceId: live.device.id })]);
      for (const { device } of [gone, later])
        await a.removeDevice(device.ownerId, device.name, T0, 'unspecified');
      await b.purge(gone.certificate.notAfter);
      expect(await a.findDeviceById(gone.device.id)).not.toBeNull();
      await b.purge(gone.certificate.notAfter + 1);
      expect(await a.findDeviceById(gone.device.id)).toBeNull();
      expect(await a.findCertificate(gone.certificate.serial)).toBeNull();
      expect(await a.findPresence(gone.device.id)).toBeNull();
      expect((await a.findDeviceById(later.device.id))?.removedAt).toBe(T0);
      expect(await a.listCertificates(later.device.id)).toHaveLength(2);
      expect(await a.findDeviceById(live.device.id)).toEqual(live.device);
      expect(await a.findCertificate(live.certificate.serial)).toEqual(live.certificate);
      expect(await a.findPresence(live.device.id)).not.toBeNull();
    });
  });
}
