import type { JsonObject, KeyType, RevocationReason } from '@postern/protocol';

/** What the domain needs of the world beside the {@link Store}. Adapters implement it; tests drive it. */

export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
}
export const systemClock: Clock = { now: () => Date.now() };

export interface IssuedCertificate {
  readonly serial: string;
  readonly fingerprintSha256: string;
  readonly notBefore: number;
  readonly notAfter: number;
  readonly certificatePem: string;
  readonly chainPem: string;
  /** PKCS#8; only where the key was made here. */
  readonly privateKeyPem?: string;
  readonly keyType: KeyType;
}

/** Signs device certificates. Rejects with ExpectedError CSR_REJECTED where the request cannot be signed. */
export interface CertificateIssuer {
  readonly rootCaPem: string;
  issueDevice(
    request: { deviceId: string; keyType: KeyType } | { deviceId: string; csrPem: string },
  ): Promise<IssuedCertificate>;
  buildCrl(input: {
    number: number;
    entries: readonly { serial: string; revokedAt: number; reason: RevocationReason }[];
  }): Promise<{ pem: string; der: Uint8Array }>;
}

/** Encrypts what must be handed out again (the flat calls' device keys). `context` is bound to the ciphertext. */
export interface KeySealer {
  seal(plaintext: string, context: string): string;
  unseal(sealed: string, context: string): string;
}

/** One direct method call, as the use case passes it on. */
export interface MethodCall {
  readonly deviceId: string;
  readonly method: string;
  readonly payload: JsonObject;
  readonly timeoutMs: number;
  readonly requestId: string;
}

/** Carries out direct methods. Rejects with ExpectedError DEVICE_OFFLINE, DEVICE_TIMEOUT, DEVICE_ERROR, DEVICE_BAD_REPLY, DEVICE_BUSY, BROKER_UNAVAILABLE. */
export interface DirectMethods {
  /** The device's reply, checked against the method's contract. */
  call(call: MethodCall): Promise<JsonObject>;
}

/** Closes the live broker sessions of a device whose rights have ended. Never rejects for a device that has none. */
export interface SessionCloser {
  closeSessions(deviceId: string): Promise<void>;
}

/** Tells all gateway instances that something they may have cached has changed. */
export interface ChangeNotifier {
  /** Rights or registration of a device have changed. */
  deviceChanged(deviceId: string): void;
  /** A login has ended. */
  sessionEnded(sessionId: string): void;
}
