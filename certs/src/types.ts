import type { KeyType } from '@postern/protocol';

/** CA keys: P-256 unless a device that knows no ECDSA must check the chain. */
export type AuthorityKeyType = 'ec-p256' | 'rsa-3072';

/** CRLReason of RFC 5280 5.3.1. `removeFromCRL` (8) is for delta CRLs, which this authority does not make. */
export const CRL_REASONS = {
  unspecified: 0,
  keyCompromise: 1,
  cACompromise: 2,
  affiliationChanged: 3,
  superseded: 4,
  cessationOfOperation: 5,
  certificateHold: 6,
  privilegeWithdrawn: 9,
  aACompromise: 10,
} as const;
export type CrlReason = keyof typeof CRL_REASONS;

/** What a leaf is for. Each has exactly one extended key usage (RFC 5280 4.2.1.12). */
export type LeafProfile = 'brokerServer' | 'httpsServer' | 'gatewayClient' | 'device';

export interface IssuedCertificate {
  /** Lower-case hex, no colons, as in the certificate's INTEGER (at most 40 digits). */
  readonly serial: string;
  /** SHA-256 of the DER, lower-case hex. */
  readonly fingerprintSha256: string;
  /** Milliseconds since 1970, whole seconds. */
  readonly notBefore: number;
  readonly notAfter: number;
  readonly certificatePem: string;
  /** Leaf first, then the issuing CA. The root is not in it: who trusts it has it. */
  readonly chainPem: string;
  /** PKCS#8; only where the key was made here. */
  readonly privateKeyPem?: string;
  /** `rsa-2048` stands for RSA of 2048 bits and more (a CSR may bring up to 4096). */
  readonly keyType: KeyType;
}

/**
 * Where a leaf's key comes from: a PKCS#10 request (signature checked; of it only the key is taken), a public
 * key that was certified before (SPKI or certificate, PEM: renewal with the same key), or made here.
 */
export type KeySource =
  | { readonly keyType?: KeyType; readonly csrPem?: never; readonly publicKeyPem?: never }
  | { readonly csrPem: string; readonly keyType?: never; readonly publicKeyPem?: never }
  | { readonly publicKeyPem: string; readonly keyType?: never; readonly csrPem?: never };

export interface ValidityOption {
  /** Days the leaf is good for. Default: see {@link LEAF_VALIDITY_DAYS}, or until the issuing CA ends if that is sooner. */
  readonly validityDays?: number;
}

export type DeviceRequest = KeySource & ValidityOption & { readonly deviceId: string };
export type GatewayRequest = KeySource & ValidityOption & { readonly commonName?: string };
export type ServerRequest = KeySource &
  ValidityOption & {
    /** DNS names, `*.` allowed as the whole first label. The first one is the common name too. */
    readonly dnsNames: readonly string[];
    /** IPv4 and IPv6 addresses. */
    readonly ipAddresses?: readonly string[];
  };

export interface CrlEntry {
  readonly serial: string;
  /** Milliseconds since 1970. */
  readonly revokedAt: number;
  readonly reason: CrlReason;
}

export interface CrlRequest {
  readonly entries: readonly CrlEntry[];
  /** cRLNumber (RFC 5280 5.2.3): the caller makes it grow with each CRL of this authority. */
  readonly number: number;
  /** Milliseconds since 1970; default now. */
  readonly thisUpdate?: number;
  /** Milliseconds since 1970; default thisUpdate + {@link CRL_LIFETIME_MS}. */
  readonly nextUpdate?: number;
}

export interface Crl {
  readonly pem: string;
  readonly der: Uint8Array;
  readonly number: number;
  readonly thisUpdate: number;
  readonly nextUpdate: number;
}

/** Issues and revokes below one root. Safe to share: holds no state but the issuing key. */
export interface Authority {
  /** The root certificate alone: what clients and devices trust. The same text as `rootca.pem`. */
  readonly rootCaPem: string;
  readonly issuingCaPem: string;
  /** Issuing CA and root: what a server needs to check peers that send their leaf alone. */
  readonly trustBundlePem: string;
  /** The CRL distribution point that leaves name. */
  readonly crlUrl: string;
  /** Milliseconds since 1970: when the issuing CA ends; no leaf outlives it. */
  readonly issuingNotAfter: number;

  /** Registration, renewal (CSR or `publicKeyPem` with the same key) and rekey are all this call. */
  issueDevice(request: DeviceRequest): Promise<IssuedCertificate>;
  /** Common name `postern-gateway` unless told otherwise; always `postern-*`, which no device id may be. */
  issueGatewayClient(request?: GatewayRequest): Promise<IssuedCertificate>;
  issueBrokerServer(request: ServerRequest): Promise<IssuedCertificate>;
  issueHttpsServer(request: ServerRequest): Promise<IssuedCertificate>;
  buildCrl(request: CrlRequest): Promise<Crl>;
}

/**
 * The key that encrypts the CA's private keys: a 0600 file outside the CA's folder (so that a copy of one
 * is worth nothing without the other), or the key itself, from wherever the deployment keeps it.
 * Either way it is the base64 of 32 random bytes.
 */
export type KeyEncryption =
  | { readonly keyFile: string; readonly keyEncryptionKey?: never }
  | { readonly keyEncryptionKey: string; readonly keyFile?: never };

export type OpenAuthorityOptions = KeyEncryption & OpenSettings;
export type CreateAuthorityOptions = KeyEncryption & CreateSettings;

export interface OpenSettings {
  /** The CA's folder, the data folder's `ca/`. */
  readonly dir: string;
  /** The public URL at which the CRL is served. Default: the one given at creation. */
  readonly crlUrl?: string;
  /** Milliseconds since 1970, for tests. Default Date.now. */
  readonly now?: () => number;
}

export interface CreateSettings extends OpenSettings {
  readonly crlUrl: string;
  /** Stands in the CAs' common names. Default `Postern`. */
  readonly name?: string;
  readonly keyType?: AuthorityKeyType;
  /** Default {@link ROOT_VALIDITY_DAYS}. */
  readonly rootValidityDays?: number;
  /** Default {@link ISSUING_VALIDITY_DAYS}. */
  readonly issuingValidityDays?: number;
}
