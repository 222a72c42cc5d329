import type { CertificateView, DeviceView, Issued } from '@postern/protocol';
import type { IssuedDevice, KnownDevice } from '../domain/provisioning.js';
import type { AuditEntry, DeviceCertificate } from '../domain/model.js';

/** How records look in `/api/v1`: times in ISO 8601, nothing that is not the caller's business. */

export const iso = (ms: number): string => new Date(ms).toISOString();
const isoOrNull = (ms: number | null): string | null => (ms === null ? null : iso(ms));

export function deviceView({ device, presence }: KnownDevice): DeviceView {
  const connected = presence?.connected ?? false;
  return {
    name: device.name,
    id: device.id,
    createdAt: iso(device.createdAt),
    keyType: device.keyType,
    presence: {
      connected,
      lastSeenAt: isoOrNull(presence?.lastSeenAt ?? null),
      address: presence?.address ?? null,
      transport: presence?.transport ?? null,
      protocol: connected ? (presence?.protocol ?? 1) : null,
      model: presence?.model ?? null,
      version: presence?.version ?? null,
    },
  };
}

export function certificateView(certificate: DeviceCertificate, now: number): CertificateView {
  const { serial, fingerprintSha256, notBefore, notAfter, issuedAt, revokedAt } = certificate;
  return {
    serial,
    fingerprintSha256,
    notBefore: iso(notBefore),
    notAfter: iso(notAfter),
    issuedAt: iso(issuedAt),
    state: revokedAt !== null ? 'revoked' : notAfter <= now ? 'expired' : 'active',
    revokedAt: isoOrNull(revokedAt),
    revocationReason: certificate.revocationReason,
  };
}

export interface IssuedContext {
  readonly now: number;
  readonly rootCaPem: string;
  readonly broker: { readonly host: string; readonly mqttsPort: number; readonly amqpsPort: number };
  readonly topics: { readonly subscribe: string; readonly publish: string };
}

export function issuedView(made: IssuedDevice, context: IssuedContext): Issued {
  const { issued, certificate } = made;
  const { host, mqttsPort, amqpsPort } = context.broker;
  return {
    device: deviceView(made),
    certificate: certificateView(certificate, context.now),
    certificatePem: issued.certificatePem,
    chainPem: issued.chainPem,
    rootCaPem: context.rootCaPem,
    ...(issued.privateKeyPem !== undefined && { privateKeyPem: issued.privateKeyPem }),
    connection: {
      clientId: made.device.id,
      mqtts: { host, port: mqttsPort },
      amqps: { host, port: amqpsPort },
      ...context.topics,
    },
  };
}

export const auditView = ({ at, action, target, outcome, address, requestId }: AuditEntry) => ({
  at: iso(at),
  action,
  target,
  outcome,
  address,
  requestId,
});
