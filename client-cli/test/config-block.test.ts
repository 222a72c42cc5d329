import { X509Certificate } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ft900ConfigBlock, type Ft900Config } from '@postern/cli';
import { World } from './support/world.js';

interface Fields extends Omit<Ft900Config, 'ca' | 'certificate' | 'privateKey' | 'seed'> {
  ca: string;
  certificate: string;
  privateKey: string;
  seed: string;
}
const vectors = JSON.parse(
  readFileSync(new URL('../../protocol/vectors/ft900-config-block.json', import.meta.url), 'utf8'),
) as { valid: { name: string; fields: Fields; block: string; readOnly?: boolean }[] };

const configOf = (fields: Fields): Ft900Config => {
  const bytes = (hex: string) => Buffer.from(hex, 'hex');
  return {
    ...fields,
    ca: bytes(fields.ca),
    certificate: bytes(fields.certificate),
    privateKey: bytes(fields.privateKey),
    seed: bytes(fields.seed),
  };
};
const writable = vectors.valid.filter(({ readOnly }) => readOnly !== true);

describe('the FT900 configuration block', () => {
  it.each(writable)('has the bytes of the golden vector: $name', ({ fields, block }) => {
    expect(ft900ConfigBlock(configOf(fields)).toString('hex')).toBe(block);
  });

  it.each<[string, Partial<Ft900Config>]>([
    ['a device id of 24 characters', { deviceId: 'd'.repeat(24) }],
    ['a host with a space', { host: 'a b' }],
    ['port 0', { port: 0 }],
    ['an empty CA', { ca: Buffer.alloc(0) }],
    ['a key of 1281 bytes', { privateKey: Buffer.alloc(1281) }],
    ['a seed of 31 bytes', { seed: Buffer.alloc(31) }],
    ['a group MAC address', { mac: '01:00:00:00:00:01' }],
    ['host address 0.0.0.0', { hostAddress: '0.0.0.0' }],
    ['more than a sector', { ca: Buffer.alloc(3000), certificate: Buffer.alloc(3000) }],
  ])('is not made with %s', (_what, change) => {
    expect(() => ft900ConfigBlock({ ...configOf(writable[0]!.fields), ...change })).toThrow();
  });
});

describe('device register --firmware ft900', () => {
  let world: World;
  beforeAll(async () => {
    world = await World.make();
    await world.login();
  });
  afterAll(() => world.dispose());

  it('writes the block of this device, with another seed each time', async () => {
    const { code, stdout } = await world.shell.run(['device', 'register', 'board', '--firmware', 'ft900']);
    expect(code).toBe(0);
    expect(stdout).toContain('board/config.bin at 0x3D000');
    const path = join(world.shell.home, 'board', 'config.bin');
    expect(statSync(path).mode & 0o777).toBe(0o600);
    const items = readItems(readFileSync(path));
    const der = (name: string): Buffer =>
      new X509Certificate(readFileSync(join(world.shell.home, 'board', name))).raw;
    expect(items.get(1)?.toString()).toBe(world.gateway.devices[0]!.id);
    expect(items.get(2)?.toString()).toBe('localhost');
    expect(items.get(3)?.readUInt16LE()).toBe(8883);
    expect(items.get(4)).toEqual(der('rootca.pem'));
    expect(items.get(5)).toEqual(Buffer.concat([der('certificate.pem'), der('rootca.pem')]));
    expect([...items.keys()]).toEqual([1, 2, 3, 4, 5, 6, 9]);

    expect(
      (await world.shell.run(['device', 'renew', 'board', '--firmware', 'ft900', '--same-key'])).code,
    ).toBe(0);
    const renewed = readItems(readFileSync(path));
    expect(renewed.get(6)).toEqual(items.get(6));
    expect(renewed.get(5)).not.toEqual(items.get(5));
    expect(renewed.get(9)).not.toEqual(items.get(9));
  });

  it('needs the key', async () => {
    const { code, stderr } = await world.shell.run([
      'device',
      'register',
      'x',
      '--firmware',
      'ft900',
      '--csr',
      'x.csr',
    ]);
    expect(code).toBe(2);
    expect(stderr).toContain('holds the private key');
  });
});

function readItems(block: Buffer): Map<number, Buffer> {
  expect(block.readUInt32LE(8)).toBe(block.length);
  expect(block.readUInt32LE(block.length - 4)).toBe(crc32(block.subarray(0, -4)));
  const items = new Map<number, Buffer>();
  for (let at = 12; at < block.length - 4;) {
    const length = block.readUInt16LE(at + 2);
    items.set(block.readUInt16LE(at), block.subarray(at + 4, at + 4 + length));
    at += 4 + length + (-length & 3);
  }
  return items;
}
