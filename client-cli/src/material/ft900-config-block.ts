import { createPrivateKey, randomBytes, X509Certificate } from 'node:crypto';
import { isIPv4 } from 'node:net';
import { crc32 } from 'node:zlib';
import type { Issued } from '@postern/protocol';
import { FileError } from '../files/durable.js';

/** What the layout has no room or no form for. */
export class ConfigBlockError extends FileError {}

/** One sector of the part's program flash, in bytes. */
export const MAX_BLOCK_BYTES = 4096;
/** Of the seed that stands in for a random generator, in bytes; the part takes 32 to 64. */
const SEED_BYTES = 64;

/** What a block holds (firmware-ft900/docs/config-block.md). Certificates and key are DER. */
export interface Ft900Config {
  readonly deviceId: string;
  /** The name that the broker's certificate must have. */
  readonly host: string;
  readonly port: number;
  /** Root certificates, one directly after the other. */
  readonly ca: Uint8Array;
  /** Leaf first, then the issuing CA. */
  readonly certificate: Uint8Array;
  readonly privateKey: Uint8Array;
  /** IPv4 in dotted form. Absent: DHCP. */
  readonly network?: {
    readonly address: string;
    readonly netmask: string;
    readonly gateway: string;
    readonly dns: string;
  };
  readonly mac?: string;
  /** 32 to 64 random bytes, others for every block. */
  readonly seed: Uint8Array;
  /** The broker's IPv4 address, so that no DNS is asked. */
  readonly hostAddress?: string;
}

interface Item {
  readonly tag: number;
  readonly name: string;
  readonly value: Uint8Array | undefined;
  readonly min: number;
  readonly max: number;
}

/** The bytes of `config.bin`. Throws {@link ConfigBlockError} where the part would refuse them. */
export function ft900ConfigBlock(config: Ft900Config): Buffer {
  if (!/^[A-Za-z0-9_-]{1,23}$/.test(config.deviceId))
    throw new ConfigBlockError(
      `The device id ${config.deviceId} must be 1 to 23 characters of A-Z a-z 0-9 _ -.`,
    );
  if (!/^[A-Za-z0-9.-]{1,127}$/.test(config.host))
    throw new ConfigBlockError(
      `The broker's host ${config.host} must be 1 to 127 characters of A-Z a-z 0-9 . -.`,
    );
  if (!Number.isInteger(config.port) || config.port < 1 || config.port > 65_535)
    throw new ConfigBlockError(`The broker's port ${config.port} must be 1 to 65535.`);
  const port = Buffer.alloc(2);
  port.writeUInt16LE(config.port);
  const { network, mac, hostAddress } = config;
  const items: Item[] = [
    { tag: 1, name: 'device id', value: Buffer.from(config.deviceId, 'ascii'), min: 1, max: 23 },
    { tag: 2, name: 'host', value: Buffer.from(config.host, 'ascii'), min: 1, max: 127 },
    { tag: 3, name: 'port', value: port, min: 2, max: 2 },
    { tag: 4, name: 'CA', value: config.ca, min: 1, max: 3072 },
    { tag: 5, name: 'certificate', value: config.certificate, min: 1, max: 3072 },
    { tag: 6, name: 'private key', value: config.privateKey, min: 1, max: 1280 },
    {
      tag: 7,
      name: 'network',
      value:
        network && Buffer.concat([network.address, network.netmask, network.gateway, network.dns].map(ipv4)),
      min: 16,
      max: 16,
    },
    { tag: 8, name: 'MAC address', value: mac === undefined ? undefined : macBytes(mac), min: 6, max: 6 },
    { tag: 9, name: 'seed', value: config.seed, min: 32, max: 64 },
    {
      tag: 10,
      name: 'host address',
      value: hostAddress === undefined ? undefined : ipv4(hostAddress),
      min: 4,
      max: 4,
    },
  ];
  const body = Buffer.concat(items.flatMap(itemBytes));
  const block = Buffer.alloc(12 + body.length + 4);
  if (block.length > MAX_BLOCK_BYTES)
    throw new ConfigBlockError(
      `The configuration block would have ${block.length} bytes; the part has room for ${MAX_BLOCK_BYTES}.` +
        ' An EC key and certificate are smaller.',
    );
  block.write('PSTN', 0, 'ascii');
  block.writeUInt16LE(1, 4);
  block.writeUInt32LE(block.length, 8);
  body.copy(block, 12);
  block.writeUInt32LE(crc32(block.subarray(0, -4)), block.length - 4);
  return block;
}

/** The block of a device that was just issued a certificate: DHCP, and a MAC address made from its id. */
export function configBlockOf(issued: Issued, keyPem: string): Buffer {
  const { host, port } = issued.connection.mqtts;
  return ft900ConfigBlock({
    deviceId: issued.device.id,
    host,
    port,
    ca: derOf(issued.rootCaPem),
    certificate: derOf(issued.chainPem),
    privateKey: createPrivateKey(keyPem).export({ type: 'pkcs8', format: 'der' }),
    seed: randomBytes(SEED_BYTES),
    ...(isIPv4(host) ? { hostAddress: host } : {}),
  });
}

function itemBytes({ tag, name, value, min, max }: Item): Buffer[] {
  if (value === undefined) return [];
  if (value.length < min || value.length > max)
    throw new ConfigBlockError(
      `The ${name} has ${value.length} bytes; the part takes ${min === max ? min : `${min} to ${max}`}.`,
    );
  const head = Buffer.alloc(4);
  head.writeUInt16LE(tag, 0);
  head.writeUInt16LE(value.length, 2);
  return [head, Buffer.from(value), Buffer.alloc(-value.length & 3)];
}

function ipv4(text: string): Buffer {
  if (!isIPv4(text) || text === '0.0.0.0')
    throw new ConfigBlockError(`${text} is not the IPv4 address of a host.`);
  return Buffer.from(text.split('.').map(Number));
}

function macBytes(text: string): Buffer {
  const bytes = Buffer.from(text.replace(/[:-]/g, ''), 'hex');
  if (bytes.length !== 6 || (bytes[0]! & 1) === 1)
    throw new ConfigBlockError(`${text} is not a unicast MAC address.`);
  return bytes;
}

function derOf(pem: string): Buffer {
  const certificates = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  return Buffer.concat(certificates.map((certificate) => new X509Certificate(certificate).raw));
}
