import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { StoreUnavailableError } from '../../../src/domain/store.js';
import { accountConformance } from './accounts.js';
import { deviceConformance } from './devices.js';
import type { StoreHarness, StoreUnderTest } from './harness.js';
import { observationConformance } from './observations.js';
import { T0, aCertificate, aDevice, aPresence, aUser, anAuditEntry } from './records.js';

/** What every adapter of the registry's port must do, over its real driver, with two instances on one place. */
export function storeConformance(harness: StoreHarness): void {
  describe(`${harness.name} store`, () => {
    let stores: StoreUnderTest | undefined;
    const use = () => stores!;

    beforeAll(async () => {
      const place = await harness.create();
      // At once, as two gateways that start together on a registry that is not there yet.
      const [a, b] = await Promise.all([place.open(), place.open()]);
      stores = { a, b, place };
    });
    afterAll(() => stores?.place.remove());

    accountConformance(use);
    deviceConformance(use);
    observationConformance(use);

    describe('life cycle', () => {
      it('answers a ping', async () => {
        await use().a.ping();
        expect(use().a.kind).toBe(harness.name);
      });

      it('has after a restart what was acknowledged before it', async () => {
        const { place, b } = use();
        const store = await place.open();
        const user = aUser();
        const device = aDevice({ ownerId: user.id });
        const certificate = aCertificate(device.id);
        const presence = aPresence({ deviceId: device.id });
        const entry = anAuditEntry({ actorId: user.id });
        await store.insertUser(user);
        await store.insertDevice(device, certificate, 5);
        await store.savePresence([presence]);
        await store.appendAudit([entry]);
        const crlNumber = await store.nextCrlNumber();
        await store.close();
        const again = await place.open();
        for (const each of [again, b]) {
          expect(await each.findUserByName(user.username)).toEqual(user);
          expect(await each.findDeviceByName(user.id, device.name)).toEqual(device);
          expect(await each.findCertificate(certificate.serial)).toEqual(certificate);
          expect(await each.findPresence(device.id)).toEqual(presence);
          expect((await each.listAudit({ actorId: user.id, limit: 9, before: null })).items).toEqual([entry]);
          expect(await each.nextCrlNumber()).toBeGreaterThan(crlNumber);
        }
        await again.close();
      });

      it('finishes what was begun when it is closed, and then refuses, twice over', async () => {
        const { place, a } = use();
        const store = await place.open();
        const user = aUser();
        const begun = store.insertUser(user);
        await Promise.all([store.close(), begun]);
        await store.close();
        expect(await a.findUserById(user.id)).toEqual(user);
        await expect(store.findUserById(user.id)).rejects.toBeInstanceOf(StoreUnavailableError);
        await expect(store.insertUser(aUser())).rejects.toBeInstanceOf(StoreUnavailableError);
        await expect(store.savePresence([aPresence()])).rejects.toBeInstanceOf(StoreUnavailableError);
        await expect(store.ping()).rejects.toBeInstanceOf(StoreUnavailableError);
        await expect(store.purge(T0)).rejects.toBeInstanceOf(StoreUnavailableError);
      });
    });
  });
}
