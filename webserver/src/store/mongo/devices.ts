import type { DeviceStore } from '../../domain/store.js';
import { DEVICE_NAME_INDEX, DEVICE_SLOT_INDEX } from './collections.js';
import type { MongoContext } from './context.js';
import {
  certificateStatesDocument,
  counterDocument,
  fromCertificate,
  read,
  revokedDocument,
  toCertificates,
  toDevice,
} from './documents.js';
import { duplicateIndex } from './failures.js';
import { untilUncontended } from './retry.js';

/** Begins with what no device name does, and sorts before all that they begin with. */
const removedName = (deviceId: string) => `/removed/${deviceId}`;
const BEFORE_ALL_NAMES = '/~';

/** For what is told of a device without its certificates. */
const WITHOUT_CERTIFICATES = { projection: { certificates: 0 } } as const;

/**
 * A device and its certificates are one document, so that each method changes one document. The quota is a
 * unique index too: each device of an owner holds one of `maxDevices` numbered slots.
 *
 * Updates ask for the document as it was before, and work out the rest: mongo-java-server, which the tests run
 * on, answers with what the document has become by the time the answer is written.
 */
export function deviceStore({ devices, counters, run }: MongoContext): DeviceStore {
  const findLive = async (ownerId: string, name: string) => {
    // Exactly the index's fields. A removed device is found only by what is no device's name.
    const document = await devices.findOne({ ownerId, liveName: name }, WITHOUT_CERTIFICATES);
    const device = document && toDevice(document);
    return device?.removedAt === null ? device : null;
  };

  return {
    insertDevice: ({ id, ...device }, first, maxDevices) =>
      run(() =>
        untilUncontended(async () => {
          const taken = await devices
            .find({ ownerId: device.ownerId, slot: { $gte: 0 } })
            .project<{ slot: number }>({ _id: 0, slot: 1 })
            .toArray();
          if (taken.length >= maxDevices) {
            return { value: (await findLive(device.ownerId, device.name)) ? 'name_taken' : 'quota' } as const;
          }
          try {
            await devices.insertOne({
              _id: id,
              ...device,
              liveName: device.name,
              slot: freeSlot(new Set(taken.map(({ slot }) => slot)), maxDevices),
              revision: 0,
              lastNotAfter: first.notAfter,
              certificates: [fromCertificate(first)],
            });
            return { value: 'ok' } as const;
          } catch (error) {
            const index = duplicateIndex(error);
            if (index === DEVICE_NAME_INDEX) return { value: 'name_taken' } as const;
            if (index === DEVICE_SLOT_INDEX) return null;
            throw error;
          }
        }),
      ),
    findDeviceByName: (ownerId, name) => run(() => findLive(ownerId, name)),
    findDeviceById: (id) =>
      run(async () => {
        const document = await devices.findOne({ _id: id }, WITHOUT_CERTIFICATES);
        return document && toDevice(document);
      }),
    listDevices: (ownerId, { limit, after }) =>
      run(async () => {
        const documents = await devices
          .find(
            { ownerId, liveName: { $gt: after ?? BEFORE_ALL_NAMES }, removedAt: null },
            WITHOUT_CERTIFICATES,
          )
          .sort({ liveName: 1 })
          .limit(limit + 1)
          .toArray();
        const items = documents.slice(0, limit).map(toDevice);
        return { items, next: documents.length > limit ? (items.at(-1)?.name ?? null) : null };
      }),
    removeDevice: (ownerId, name, at, reason) =>
      run(async () => {
        const device = await findLive(ownerId, name);
        if (!device) return null;
        const before = await devices.findOneAndUpdate(
          { _id: device.id, removedAt: null },
          {
            $set: {
              removedAt: at,
              liveName: removedName(device.id),
              slot: device.id,
              'certificates.$[valid].revocation': { at, reason },
            },
            $inc: { revision: 1 },
          },
          { arrayFilters: [{ 'valid.revocation': null }], returnDocument: 'before', ...WITHOUT_CERTIFICATES },
        );
        return before && { ...toDevice(before), removedAt: at };
      }),

    addCertificate: (certificate, { maxCertificates, sealedKey }) =>
      run(() =>
        untilUncontended(async () => {
          const _id = certificate.deviceId;
          const document = await devices.findOne(
            { _id, removedAt: null },
            { projection: { revision: 1, 'certificates.notAfter': 1, 'certificates.revocation': 1 } },
          );
          if (!document) return { value: false };
          const { revision, certificates } = read(certificateStatesDocument, document, 'devices');
          const valid = certificates.filter(
            ({ revocation, notAfter }) => revocation === null && notAfter >= certificate.issuedAt,
          );
          if (valid.length >= maxCertificates) return { value: false };
          const { matchedCount } = await devices.updateOne(
            { _id, removedAt: null, revision },
            {
              $push: { certificates: fromCertificate(certificate) },
              $inc: { revision: 1 },
              $max: { lastNotAfter: certificate.notAfter },
              ...(sealedKey !== undefined && { $set: { sealedKey } }),
            },
          );
          return matchedCount === 1 ? { value: true } : null;
        }),
      ),
    listCertificates: (deviceId) =>
      run(async () => {
        const document = await devices.findOne({ _id: deviceId }, { projection: { certificates: 1 } });
        if (!document) return [];
        return toCertificates(document).sort(
          (x, y) => y.issuedAt - x.issuedAt || (x.serial < y.serial ? 1 : -1),
        );
      }),
    findCertificate: (serial) =>
      run(async () => {
        const document = await devices.findOne(
          { 'certificates.serial': serial },
          { projection: { certificates: 1 } },
        );
        return (document && toCertificates(document).find((each) => each.serial === serial)) ?? null;
      }),
    revokeCertificate: (deviceId, serial, at, reason) =>
      run(async () => {
        const { matchedCount } = await devices.updateOne(
          { _id: deviceId, certificates: { $elemMatch: { serial, revocation: null } } },
          { $set: { 'certificates.$[named].revocation': { at, reason } }, $inc: { revision: 1 } },
          { arrayFilters: [{ 'named.serial': serial }] },
        );
        if (matchedCount === 1) return 'ok';
        const known = await devices.findOne(
          { _id: deviceId, 'certificates.serial': serial },
          { projection: { _id: 1 } },
        );
        return known ? 'already' : 'not_found';
      }),
    hasValidCertificate: (deviceId, now) =>
      run(async () => {
        const document = await devices.findOne(
          {
            _id: deviceId,
            removedAt: null,
            certificates: { $elemMatch: { revocation: null, notAfter: { $gte: now } } },
          },
          { projection: { _id: 1 } },
        );
        return document !== null;
      }),
    listRevoked: (now) =>
      run(async () => {
        const documents = await devices
          .find({ 'certificates.revocation.at': { $gte: 0 }, lastNotAfter: { $gte: now } })
          .project({
            'certificates.serial': 1,
            'certificates.notAfter': 1,
            'certificates.revocation': 1,
          })
          .toArray();
        return documents
          .flatMap((document) => read(revokedDocument, document, 'devices').certificates)
          .flatMap(({ serial, notAfter, revocation }) =>
            revocation && notAfter >= now
              ? [{ serial, revokedAt: revocation.at, reason: revocation.reason }]
              : [],
          )
          .sort((x, y) => (x.serial < y.serial ? -1 : 1));
      }),
    nextCrlNumber: () =>
      run(() =>
        untilUncontended(async () => {
          try {
            const before = await counters.findOneAndUpdate(
              { _id: 'crl' },
              { $inc: { value: 1 } },
              { upsert: true, returnDocument: 'before' },
            );
            return { value: before ? read(counterDocument, before, 'counters').value + 1 : 1 };
          } catch (error) {
            // Two were first at once.
            if (duplicateIndex(error) !== null) return null;
            throw error;
          }
        }),
      ),
  };
}

/** Any free one, so that callers who look at once seldom meet. There is one: fewer than `count` are taken. */
function freeSlot(taken: ReadonlySet<number>, count: number): number {
  const free = Array.from({ length: count }, (_, slot) => slot).filter((slot) => !taken.has(slot));
  const slot = free[Math.floor(Math.random() * free.length)];
  if (slot === undefined) throw new Error('no slot is free, although fewer are taken than there are');
  return slot;
}
