import { GATEWAY_COMMON_NAME } from '@postern/protocol';
import { makeCrl } from './crl.js';
import { CertsError } from './errors.js';
import type { IssuingKey } from './issuing-key.js';
import { crlDistributionPoints, issueLeaf, type LeafDescription } from './leaf.js';
import { LEAF_VALIDITY_DAYS } from './limits.js';
import { checkDeviceId, checkGatewayName, checkServerNames } from './names.js';
import { makeKeyPair, privateKeyPem } from './private-keys.js';
import { checkPublicKey, keyOfCsr, keyOfPem, type LeafKey } from './public-keys.js';
import type {
  Authority,
  Crl,
  CrlRequest,
  DeviceRequest,
  GatewayRequest,
  IssuedCertificate,
  KeySource,
  ServerRequest,
  ValidityOption,
} from './types.js';

/** The CRL's URL cannot stand in a certificate. */
export class CrlUrlError extends CertsError {
  readonly code = 'CRL_URL_INVALID';
}

const MAX_URL = 1024;

export function checkCrlUrl(url: string): string {
  const protocol = URL.canParse(url) ? new URL(url).protocol : '';
  // IA5String: printable ASCII without spaces (RFC 5280 4.2.1.6).
  if (!['http:', 'https:'].includes(protocol) || !/^[!-~]+$/.test(url) || url.length > MAX_URL) {
    throw new CrlUrlError(
      `The CRL URL must be an absolute http or https URL of at most ${MAX_URL} ASCII characters.`,
    );
  }
  return url;
}

export class IssuingAuthority implements Authority {
  readonly rootCaPem: string;
  readonly issuingCaPem: string;
  readonly trustBundlePem: string;
  readonly crlUrl: string;
  readonly issuingNotAfter: number;
  readonly #issuer: IssuingKey;
  readonly #crlDistributionPoints: Buffer;
  readonly #now: () => number;

  constructor(parts: {
    issuer: IssuingKey;
    rootCaPem: string;
    crlUrl: string;
    now?: (() => number) | undefined;
  }) {
    this.#issuer = parts.issuer;
    this.#now = parts.now ?? Date.now;
    this.rootCaPem = parts.rootCaPem;
    this.issuingCaPem = parts.issuer.certificatePem;
    this.trustBundlePem = this.issuingCaPem + this.rootCaPem;
    this.crlUrl = checkCrlUrl(parts.crlUrl);
    this.issuingNotAfter = parts.issuer.notAfter;
    this.#crlDistributionPoints = crlDistributionPoints(this.crlUrl);
  }

  issueDevice(request: DeviceRequest): Promise<IssuedCertificate> {
    return this.#issue(request, () => {
      const deviceId = checkDeviceId(request.deviceId);
      return {
        usage: 'client',
        commonName: deviceId,
        dnsNames: [deviceId],
        ipAddresses: [],
        defaultValidityDays: LEAF_VALIDITY_DAYS.device,
      };
    });
  }

  issueGatewayClient(request: GatewayRequest = {}): Promise<IssuedCertificate> {
    return this.#issue(request, () => ({
      usage: 'client',
      commonName: checkGatewayName(request.commonName ?? GATEWAY_COMMON_NAME),
      dnsNames: [],
      ipAddresses: [],
      defaultValidityDays: LEAF_VALIDITY_DAYS.gatewayClient,
    }));
  }

  issueBrokerServer(request: ServerRequest): Promise<IssuedCertificate> {
    return this.#issueServer(request);
  }

  issueHttpsServer(request: ServerRequest): Promise<IssuedCertificate> {
    return this.#issueServer(request);
  }

  buildCrl(request: CrlRequest): Promise<Crl> {
    return makeCrl(this.#issuer, request, this.#now());
  }

  #issueServer(request: ServerRequest): Promise<IssuedCertificate> {
    return this.#issue(request, () => ({
      usage: 'server',
      ...checkServerNames(request.dnsNames, request.ipAddresses ?? []),
      defaultValidityDays: LEAF_VALIDITY_DAYS.server,
    }));
  }

  /** Names are checked before a key is looked at or made, which is the dear part. */
  async #issue(
    request: KeySource & ValidityOption,
    describe: () => Omit<LeafDescription, 'key' | 'privateKeyPem' | 'validityDays'>,
  ): Promise<IssuedCertificate> {
    const description = describe();
    const { key, privateKeyPem: pem } = await leafKey(request);
    return issueLeaf(
      this.#issuer,
      { ...description, key, privateKeyPem: pem, validityDays: request.validityDays },
      { crlDistributionPoints: this.#crlDistributionPoints, now: this.#now() },
    );
  }
}

async function leafKey(source: KeySource): Promise<{ key: LeafKey; privateKeyPem?: string }> {
  if (source.csrPem !== undefined) return { key: keyOfCsr(source.csrPem) };
  if (source.publicKeyPem !== undefined) return { key: keyOfPem(source.publicKeyPem) };
  const pair = await makeKeyPair(source.keyType ?? 'ec-p256');
  return { key: checkPublicKey(pair.publicKey), privateKeyPem: privateKeyPem(pair.privateKey) };
}
