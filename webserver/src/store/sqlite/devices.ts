import type { Device, DeviceCertificate } from '../../domain/model.js';
import type { DeviceStore } from '../../domain/store.js';
import type { RevocationReason } from '@postern/protocol';
import type { SqliteContext } from './context.js';
import { toCertificate, toDevice } from './rows.js';

const CERTIFICATE =
  'SELECT c.*, p.chain_pem FROM certificates c JOIN certificate_chains p ON p.serial = c.serial';

export function deviceStore({ durable, read, write }: SqliteContext): DeviceStore {
  const insertDevice = durable.prepare(
    'INSERT INTO devices (id, owner_id, name, created_at, origin, key_type, password_hash, sealed_key, removed_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)',
  );
  const deviceByName = durable.prepare(
    'SELECT * FROM devices WHERE owner_id = ? AND name = ? AND removed_at IS NULL',
  );
  const deviceById = durable.prepare('SELECT * FROM devices WHERE id = ?');
  const countDevices = durable.prepare(
    'SELECT count(*) AS count FROM devices WHERE owner_id = ? AND removed_at IS NULL',
  );
  const devicePage = durable.prepare(
    'SELECT * FROM devices WHERE owner_id = ? AND name > ? AND removed_at IS NULL ORDER BY name LIMIT ?',
  );
  const markRemoved = durable.prepare('UPDATE devices SET removed_at = ? WHERE id = ?');
  const replaceKey = durable.prepare('UPDATE devices SET sealed_key = ? WHERE id = ?');

  const insertCertificate = durable.prepare(
    'INSERT INTO certificates (serial, device_id, fingerprint_sha256, not_before, not_after, issued_at, revoked_at, revocation_reason) VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
  );
  const insertChain = durable.prepare('INSERT INTO certificate_chains (serial, chain_pem) VALUES (?, ?)');
  const countValid = durable.prepare(
    'SELECT count(*) AS count FROM certificates WHERE device_id = ? AND revoked_at IS NULL AND not_after >= ?',
  );
  const certificatesOf = durable.prepare(
    `${CERTIFICATE} WHERE c.device_id = ? ORDER BY c.issued_at DESC, c.serial DESC`,
  );
  const certificate = durable.prepare(`${CERTIFICATE} WHERE c.serial = ?`);
  const certificateState = durable.prepare(
    'SELECT revoked_at FROM certificates WHERE serial = ? AND device_id = ?',
  );
  const revoke = durable.prepare(
    'UPDATE certificates SET revoked_at = ?, revocation_reason = ? WHERE serial = ?',
  );
  const revokeAll = durable.prepare(
    'UPDATE certificates SET revoked_at = ?, revocation_reason = ? WHERE device_id = ? AND revoked_at IS NULL',
  );
  const validCertificate = durable.prepare(
    `SELECT 1 FROM certificates WHERE device_id = ? AND revoked_at IS NULL AND not_after >= ?
       AND EXISTS (SELECT 1 FROM devices WHERE id = ? AND removed_at IS NULL) LIMIT 1`,
  );
  const revoked = durable.prepare(
    'SELECT serial, revoked_at, revocation_reason FROM certificates INDEXED BY certificates_by_revocation WHERE revoked_at IS NOT NULL AND not_after >= ? ORDER BY serial',
  );
  const countUp = durable.prepare(
    "INSERT INTO counters (name, value) VALUES ('crl', 1) ON CONFLICT (name) DO UPDATE SET value = value + 1 RETURNING value",
  );

  const findByName = (ownerId: string, name: string): Device | null => {
    const row = deviceByName.get(ownerId, name);
    return row ? toDevice(row) : null;
  };
  const storeCertificate = (value: DeviceCertificate) => {
    insertCertificate.run(
      value.serial,
      value.deviceId,
      value.fingerprintSha256,
      value.notBefore,
      value.notAfter,
      value.issuedAt,
      value.revokedAt,
      value.revocationReason,
    );
    insertChain.run(value.serial, value.chainPem);
  };

  return {
    insertDevice: (device, first, maxDevices) =>
      write(() => {
        if (findByName(device.ownerId, device.name)) return 'name_taken';
        if (Number(countDevices.get(device.ownerId)?.['count']) >= maxDevices) return 'quota';
        insertDevice.run(
          device.id,
          device.ownerId,
          device.name,
          device.createdAt,
          device.origin,
          device.keyType,
          device.passwordHash,
          device.sealedKey,
          device.removedAt,
        );
        storeCertificate(first);
        return 'ok';
      }),
    findDeviceByName: (ownerId, name) => read(() => findByName(ownerId, name)),
    findDeviceById: (id) =>
      read(() => {
        const row = deviceById.get(id);
        return row ? toDevice(row) : null;
      }),
    listDevices: (ownerId, { limit, after }) =>
      read(() => {
        // One more than asked for tells whether there is a next page. No name is empty, so '' is before all.
        const items = devicePage.all(ownerId, after ?? '', limit + 1).map(toDevice);
        const more = items.length > limit;
        if (more) items.pop();
        return { items, next: more ? (items.at(-1)?.name ?? null) : null };
      }),
    removeDevice: (ownerId, name, at, reason) =>
      write(() => {
        const device = findByName(ownerId, name);
        if (!device) return null;
        markRemoved.run(at, device.id);
        revokeAll.run(at, reason, device.id);
        return { ...device, removedAt: at };
      }),

    addCertificate: (value, { maxCertificates, sealedKey }) =>
      write(() => {
        const row = deviceById.get(value.deviceId);
        if (!row || toDevice(row).removedAt !== null) return false;
        const valid = Number(countValid.get(value.deviceId, value.issuedAt)?.['count']);
        if (valid >= maxCertificates) return false;
        storeCertificate(value);
        if (sealedKey !== undefined) replaceKey.run(sealedKey, value.deviceId);
        return true;
      }),
    listCertificates: (deviceId) => read(() => certificatesOf.all(deviceId).map(toCertificate)),
    findCertificate: (serial) =>
      read(() => {
        const row = certificate.get(serial);
        return row ? toCertificate(row) : null;
      }),
    revokeCertificate: (deviceId, serial, at, reason) =>
      write(() => {
        const row = certificateState.get(serial, deviceId);
        if (!row) return 'not_found';
        if (row['revoked_at'] !== null) return 'already';
        revoke.run(at, reason, serial);
        return 'ok';
      }),
    hasValidCertificate: (deviceId, now) =>
      read(() => validCertificate.get(deviceId, now, deviceId) !== undefined),
    listRevoked: (now) =>
      read(() =>
        revoked.all(now).map((row) => ({
          serial: row['serial'] as string,
          revokedAt: row['revoked_at'] as number,
          reason: row['revocation_reason'] as RevocationReason,
        })),
      ),
    nextCrlNumber: () => write(() => Number(countUp.get()?.['value'])),
  };
}
