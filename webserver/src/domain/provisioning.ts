import {
  deviceNameSchema,
  newDeviceId,
  replyTopic,
  requestTopicFilter,
  type KeyType,
  type RevocationReason,
} from '@postern/protocol';
import type { Principal } from './accounts.js';
import type { AuditTrail, Origin } from './audit.js';
import { deviceNotFound, type PresenceReader } from './control.js';
import { ExpectedError } from './errors.js';
import type { Device, DeviceCertificate, Presence } from './model.js';
import type { CertificateIssuer, ChangeNotifier, Clock, IssuedCertificate, KeySealer } from './ports.js';
import type { Revocation } from './revocation.js';
import type { DeviceStore, Page } from './store.js';
import { randomSecret, sha256Hex } from './tokens.js';

/** Certificates of one device that are good at once: the one in use, its successor, and room for a mishap or two. */
export const MAX_ACTIVE_CERTIFICATES = 5;
/** Devices that are read from the store at once for the flat list, which has no pages. */
const FLAT_PAGE = 100;

export interface ProvisioningOptions {
  readonly store: DeviceStore;
  readonly issuer: CertificateIssuer;
  readonly sealer: KeySealer;
  readonly presence: PresenceReader;
  readonly revocation: Revocation;
  readonly notifier: ChangeNotifier;
  readonly audit: AuditTrail;
  readonly clock: Clock;
  readonly maxDevicesPerUser: number;
  readonly flatKeyType: KeyType;
}

export interface KeyRequest {
  readonly keyType?: KeyType | undefined;
  readonly csr?: string | undefined;
}
export interface KnownDevice {
  readonly device: Device;
  readonly presence: Presence | null;
}
export interface IssuedDevice extends KnownDevice {
  readonly issued: IssuedCertificate;
  readonly certificate: DeviceCertificate;
}
export interface FlatDevice {
  readonly devicename: string;
  readonly deviceid: string;
  readonly rootca: string;
  readonly devicecert: string;
  readonly devicepkey: string;
}

/** Devices and their certificates: registration, renewal, revocation, removal. */
export class Provisioning {
  constructor(private readonly options: ProvisioningOptions) {}

  get rootCaPem(): string {
    return this.options.issuer.rootCaPem;
  }

  async register(
    by: Principal,
    request: { name: string } & KeyRequest,
    origin: Origin,
  ): Promise<IssuedDevice> {
    const { name, csr } = request;
    if (csr !== undefined && request.keyType !== undefined) throw keyTypeWithCsr();
    const issued = await this.issueFor(by, name, { keyType: request.keyType ?? 'ec-p256', csr });
    const device = this.newDevice(by, name, issued, { origin: 'api', passwordHash: null, sealedKey: null });
    const certificate = await this.insert(by, device, issued, origin);
    return { device, presence: null, issued: issued.certificate, certificate };
  }

  /** Registration by the flat call: the key is kept (sealed) to be handed out again, and the device gets a password. */
  async registerFlat(
    by: Principal,
    name: string,
    origin: Origin,
  ): Promise<FlatDevice & { username: string; password: string }> {
    const issued = await this.issueFor(by, name, { keyType: this.options.flatKeyType });
    const { deviceId, certificate } = issued;
    const key = certificate.privateKeyPem ?? '';
    const password = randomSecret();
    const device = this.newDevice(by, name, issued, {
      origin: 'flat',
      passwordHash: sha256Hex(password),
      sealedKey: this.options.sealer.seal(key, deviceId),
    });
    await this.insert(by, device, issued, origin);
    return {
      devicename: name,
      deviceid: deviceId,
      rootca: this.rootCaPem,
      devicecert: certificate.chainPem,
      devicepkey: key,
      username: deviceId,
      password,
    };
  }

  async list(by: Principal, page: { limit: number; after: string | null }): Promise<Page<KnownDevice>> {
    const { items, next } = await this.options.store.listDevices(by.userId, page);
    const presences = await this.options.presence.getMany(items.map(({ id }) => id));
    return { items: items.map((device) => ({ device, presence: presences.get(device.id) ?? null })), next };
  }

  /** The flat list in parts, so that a long one blocks nobody. `name` asks for that device only; rejects with DEVICE_NOT_FOUND. */
  async *listFlat(by: Principal, name?: string): AsyncGenerator<FlatDevice[]> {
    if (name !== undefined) {
      yield [await this.flatDevice(await this.find(by, name))];
      return;
    }
    let after: string | null = null;
    do {
      const page: Page<Device> = await this.options.store.listDevices(by.userId, { limit: FLAT_PAGE, after });
      const part: FlatDevice[] = [];
      for (const device of page.items) part.push(await this.flatDevice(device));
      yield part;
      after = page.next;
      // An embedded store answers without ever leaving this turn of the loop.
      await new Promise((resolve) => setImmediate(resolve));
    } while (after !== null);
  }

  async show(by: Principal, name: string): Promise<KnownDevice> {
    const device = await this.find(by, name);
    return { device, presence: await this.options.presence.get(device.id) };
  }

  async remove(by: Principal, name: string, origin: Origin): Promise<void> {
    const { store, clock } = this.options;
    if (!deviceNameSchema.safeParse(name).success) throw deviceNotFound();
    const device = await store.removeDevice(by.userId, name, clock.now(), 'cessationOfOperation');
    if (!device) throw deviceNotFound();
    await this.options.revocation.enforce(device.id);
    await this.record(by, 'device.remove', device.id, origin);
  }

  async certificates(by: Principal, name: string): Promise<DeviceCertificate[]> {
    const device = await this.find(by, name);
    return this.options.store.listCertificates(device.id);
  }

  /** A further certificate. Those before it stay good until they are revoked or expire. */
  async renew(by: Principal, name: string, request: KeyRequest, origin: Origin): Promise<IssuedDevice> {
    const { store, issuer, sealer, clock } = this.options;
    const { csr } = request;
    if (csr !== undefined && request.keyType !== undefined) throw keyTypeWithCsr();
    const device = await this.find(by, name);
    const issued = await issuer.issueDevice(
      csr === undefined
        ? { deviceId: device.id, keyType: request.keyType ?? device.keyType }
        : { deviceId: device.id, csrPem: csr },
    );
    const certificate = record(device.id, issued, clock.now());
    // The flat list hands out the newest certificate: the key beside it must be that one's, or none.
    const sealed =
      device.origin === 'flat' ? { sealedKey: sealer.seal(issued.privateKeyPem ?? '', device.id) } : {};
    const added = await store.addCertificate(certificate, {
      maxCertificates: MAX_ACTIVE_CERTIFICATES,
      ...sealed,
    });
    if (!added) {
      await this.find(by, name);
      throw new ExpectedError('QUOTA_EXCEEDED', {
        detail: `The device has ${MAX_ACTIVE_CERTIFICATES} certificates that are good; revoke one that is not used.`,
      });
    }
    await this.record(by, 'certificate.renew', certificate.serial, origin);
    this.options.notifier.deviceChanged(device.id);
    return { device, presence: await this.options.presence.get(device.id), issued, certificate };
  }

  async revoke(
    by: Principal,
    revoked: { name: string; serial: string; reason: RevocationReason },
    origin: Origin,
  ): Promise<DeviceCertificate> {
    const { store, clock } = this.options;
    const { name, serial, reason } = revoked;
    const device = await this.find(by, name);
    const outcome = await store.revokeCertificate(device.id, serial, clock.now(), reason);
    if (outcome === 'not_found') throw new ExpectedError('CERTIFICATE_NOT_FOUND');
    if (outcome === 'already') throw new ExpectedError('CERTIFICATE_ALREADY_REVOKED');
    await this.options.revocation.enforce(device.id);
    await this.record(by, 'certificate.revoke', serial, origin);
    const certificate = await store.findCertificate(serial);
    if (!certificate) throw new ExpectedError('CERTIFICATE_NOT_FOUND');
    return certificate;
  }

  /** What a device subscribes to and publishes below. */
  topics(deviceId: string): { subscribe: string; publish: string } {
    return { subscribe: requestTopicFilter(deviceId), publish: replyTopic(deviceId, '#') };
  }

  private async find(by: Principal, name: string): Promise<Device> {
    // What cannot be a name is no device's name.
    const device = deviceNameSchema.safeParse(name).success
      ? await this.options.store.findDeviceByName(by.userId, name)
      : null;
    if (!device) throw deviceNotFound();
    return device;
  }

  private async issueFor(
    by: Principal,
    name: string,
    key: { keyType: KeyType; csr?: string | undefined },
  ): Promise<{ deviceId: string; certificate: IssuedCertificate }> {
    // The store decides in the end; this spares making a key for nothing.
    if (await this.options.store.findDeviceByName(by.userId, name)) throw nameTaken();
    const deviceId = newDeviceId();
    const certificate = await this.options.issuer.issueDevice(
      key.csr === undefined ? { deviceId, keyType: key.keyType } : { deviceId, csrPem: key.csr },
    );
    return { deviceId, certificate };
  }

  private newDevice(
    by: Principal,
    name: string,
    issued: { deviceId: string; certificate: IssuedCertificate },
    kind: Pick<Device, 'origin' | 'passwordHash' | 'sealedKey'>,
  ): Device {
    return {
      id: issued.deviceId,
      ownerId: by.userId,
      name,
      createdAt: this.options.clock.now(),
      keyType: issued.certificate.keyType,
      removedAt: null,
      ...kind,
    };
  }

  private async insert(
    by: Principal,
    device: Device,
    issued: { certificate: IssuedCertificate },
    origin: Origin,
  ): Promise<DeviceCertificate> {
    const { store, maxDevicesPerUser } = this.options;
    const certificate = record(device.id, issued.certificate, device.createdAt);
    const outcome = await store.insertDevice(device, certificate, maxDevicesPerUser);
    if (outcome === 'name_taken') throw nameTaken();
    if (outcome === 'quota')
      throw new ExpectedError('QUOTA_EXCEEDED', {
        detail: `This account has ${maxDevicesPerUser} devices, the most that one may have; remove one first.`,
      });
    await this.record(by, 'device.register', device.id, origin);
    this.options.notifier.deviceChanged(device.id);
    return certificate;
  }

  private async flatDevice(device: Device): Promise<FlatDevice> {
    const certificates = await this.options.store.listCertificates(device.id);
    // A kept key is the newest certificate's, revoked or not: the pair must match.
    const good = device.sealedKey === null && certificates.find(({ revokedAt }) => revokedAt === null);
    const newest = good || certificates[0];
    return {
      devicename: device.name,
      deviceid: device.id,
      rootca: this.rootCaPem,
      devicecert: newest?.chainPem ?? '',
      devicepkey: device.sealedKey === null ? '' : this.options.sealer.unseal(device.sealedKey, device.id),
    };
  }

  private record(by: Principal, action: string, target: string, origin: Origin): Promise<void> {
    return this.options.audit.record({
      actorId: by.userId,
      actorName: by.username,
      action,
      target,
      outcome: 'ok',
      origin,
    });
  }
}

function record(deviceId: string, issued: IssuedCertificate, issuedAt: number): DeviceCertificate {
  const { serial, fingerprintSha256, notBefore, notAfter, chainPem } = issued;
  return {
    serial,
    deviceId,
    fingerprintSha256,
    notBefore,
    notAfter,
    issuedAt,
    chainPem,
    revokedAt: null,
    revocationReason: null,
  };
}

const nameTaken = (): ExpectedError => new ExpectedError('DEVICE_NAME_TAKEN');
const keyTypeWithCsr = (): ExpectedError =>
  new ExpectedError('VALIDATION_FAILED', {
    detail: 'A csr brings its own key: leave keyType out.',
    errors: [{ path: 'body.keyType', message: 'must be left out where csr is given' }],
  });
