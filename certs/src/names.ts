import { isIP } from 'node:net';
import { CertsError } from './errors.js';
import { MAX_SAN_ENTRIES } from './limits.js';

/** A name that may not stand in a certificate. */
export class CertificateNameError extends CertsError {
  readonly code = 'CERTIFICATE_NAME_INVALID';
}

/** Common names of gateways begin so, and no device id may: both log in to the broker by common name. */
export const GATEWAY_NAME_PREFIX = 'postern-';

/** A single DNS label (RFC 1034 3.5, RFC 1123 2.1): it is the leaf's common name and its dNSName. */
const DEVICE_ID = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const GATEWAY_NAME = /^postern-[a-z0-9](?:[a-z0-9-]{0,53}[a-z0-9])?$/;
const DNS_LABEL = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/;
const MAX_DNS_NAME = 253;
/** ub-common-name (RFC 5280 appendix A.1). */
const MAX_COMMON_NAME = 64;

export function checkDeviceId(deviceId: string): string {
  if (!DEVICE_ID.test(deviceId)) {
    throw new CertificateNameError(
      `${quote(deviceId)} is no device id: 1 to 63 characters of a-z 0-9 and inner hyphens.`,
    );
  }
  if (deviceId.startsWith(GATEWAY_NAME_PREFIX)) {
    throw new CertificateNameError(
      `${quote(deviceId)} is no device id: names that begin with "${GATEWAY_NAME_PREFIX}" are the gateways'.`,
    );
  }
  return deviceId;
}

export function checkGatewayName(name: string): string {
  if (!GATEWAY_NAME.test(name)) {
    throw new CertificateNameError(
      `${quote(name)} is no gateway name: "${GATEWAY_NAME_PREFIX}" and 1 to 55 characters of a-z 0-9 and inner hyphens.`,
    );
  }
  return name;
}

export interface ServerNames {
  readonly commonName: string;
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly Uint8Array[];
}

export function checkServerNames(dnsNames: readonly string[], ipAddresses: readonly string[]): ServerNames {
  const names = [...new Set(dnsNames.map(checkDnsName))];
  const addresses = [...new Set(ipAddresses)];
  const count = names.length + addresses.length;
  if (count === 0) {
    throw new CertificateNameError('A server certificate needs a DNS name or an IP address at least.');
  }
  if (count > MAX_SAN_ENTRIES) {
    throw new CertificateNameError(`${count} names in one certificate: ${MAX_SAN_ENTRIES} are the most.`);
  }
  const bytes = addresses.map(ipAddressBytes);
  const commonName = [...names, ...addresses].find((name) => name.length <= MAX_COMMON_NAME);
  if (commonName === undefined) {
    throw new CertificateNameError(
      `One of the names must have at most ${MAX_COMMON_NAME} characters, to be the common name.`,
    );
  }
  return { commonName, dnsNames: names, ipAddresses: bytes };
}

function checkDnsName(given: string): string {
  const name = given.toLowerCase();
  if (isIP(name)) throw new CertificateNameError(`${quote(given)} is an IP address: give it as one.`);
  const labels = (name.startsWith('*.') ? name.slice(2) : name).split('.');
  const wildcardTooWide = name.startsWith('*.') && labels.length < 2;
  if (name.length > MAX_DNS_NAME || wildcardTooWide || !labels.every((label) => DNS_LABEL.test(label))) {
    throw new CertificateNameError(
      `${quote(given)} is no DNS name: labels of a-z 0-9 - _ with dots between, "*." before two or more of them.`,
    );
  }
  return name;
}

/** 4 or 16 octets in network order (RFC 5280 4.2.1.6). */
export function ipAddressBytes(address: string): Uint8Array {
  const family = address.includes('%') ? 0 : isIP(address);
  if (family === 4) return Uint8Array.from(address.split('.').map(Number));
  if (family === 6) return ipv6Bytes(address);
  throw new CertificateNameError(`${quote(address)} is no IPv4 or IPv6 address.`);
}

function ipv6Bytes(address: string): Uint8Array {
  const dotted = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(address);
  const text = dotted
    ? `${dotted[1]}${hexPair(dotted[2], dotted[3])}:${hexPair(dotted[4], dotted[5])}`
    : address;
  const [head = '', tail] = text.split('::');
  const before = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : 8 - before.length - after.length;
  const groups = [...before, ...Array<string>(zeros).fill('0'), ...after];
  return Uint8Array.from(groups.flatMap((group) => [parseInt(group, 16) >> 8, parseInt(group, 16) & 0xff]));
}

function hexPair(high: string | undefined, low: string | undefined): string {
  return ((Number(high) << 8) | Number(low)).toString(16);
}

/** Foreign text in a message: cut, and free of control characters. */
function quote(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}...` : text);
}
