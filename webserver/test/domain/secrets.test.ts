import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { createKeySealer, UnsealError } from '../../src/authority/key-sealer.js';
import { ScryptPasswords } from '../../src/domain/passwords.js';
import { RefreshTokens } from '../../src/domain/tokens.js';
import { limitKey, plainAddress } from '../../src/http/address.js';

describe('passwords', () => {
  const passwords = new ScryptPasswords({ logN: 12 });

  it('are kept as a hash that says how it was made', async () => {
    const encoded = await passwords.hash('correct horse');
    expect(encoded).toMatch(/^\$scrypt\$ln=12,r=8,p=1\$[\w-]{22}\$[\w-]{43}$/);
    expect(encoded).not.toBe(await passwords.hash('correct horse'));
    expect(await passwords.verify('correct horse', encoded)).toBe(true);
    expect(await passwords.verify('correct horsf', encoded)).toBe(false);
    expect(await passwords.verify('correct horse', null)).toBe(false);
  });

  it('that were hashed at another cost go on counting', async () => {
    const encoded = await new ScryptPasswords({ logN: 11 }).hash('old');
    expect(await passwords.verify('old', encoded)).toBe(true);
  });

  it('whose hash is damaged are an error, not a refusal', async () => {
    await expect(passwords.verify('x', '$scrypt$ln=99')).rejects.toThrow('no known form');
    await expect(passwords.verify('x', '')).rejects.toThrow('no known form');
  });

  it('are hashed so many at a time; more wait, too many are refused', async () => {
    const narrow = new ScryptPasswords({ logN: 14, concurrency: 1, maxWaiting: 2 });
    const all = await Promise.allSettled([1, 2, 3, 4, 5].map(() => narrow.hash('x')));
    expect(all.map(({ status }) => status)).toEqual([
      'fulfilled',
      'fulfilled',
      'fulfilled',
      'rejected',
      'rejected',
    ]);
    expect(all[4]).toMatchObject({ reason: { code: 'RATE_LIMITED', retryAfterSeconds: 5 } });
    expect(await narrow.hash('y')).toBeTruthy();
  });
});

describe('sealed values', () => {
  const sealer = createKeySealer(randomBytes(32));

  it('open under the same key and context alone', () => {
    const sealed = sealer.seal('-----BEGIN PRIVATE KEY-----', 'device-1');
    expect(sealed).not.toContain('PRIVATE');
    expect(sealer.unseal(sealed, 'device-1')).toBe('-----BEGIN PRIVATE KEY-----');
    expect(() => sealer.unseal(sealed, 'device-2')).toThrow(UnsealError);
    expect(() => createKeySealer(randomBytes(32)).unseal(sealed, 'device-1')).toThrow(UnsealError);
  });

  it('are never twice the same', () => {
    expect(sealer.seal('x', 'y')).not.toBe(sealer.seal('x', 'y'));
  });

  it('that are damaged, cut or of another form do not open', () => {
    const sealed = sealer.seal('secret', 'c');
    const bytes = Buffer.from(sealed.slice(3), 'base64url');
    for (let index = 0; index < bytes.length; index += 1) {
      const damaged = Buffer.from(bytes);
      damaged[index]! ^= 1;
      expect(() => sealer.unseal(`v1.${damaged.toString('base64url')}`, 'c')).toThrow(UnsealError);
    }
    for (const text of ['', 'v1.', 'v2.abc', sealed.slice(0, 20), sealed.slice(3)])
      expect(() => sealer.unseal(text, 'c')).toThrow(UnsealError);
  });

  it('need a key of 256 bits', () => {
    expect(() => createKeySealer(randomBytes(16))).toThrow('32 bytes');
  });
});

describe('refresh tokens', () => {
  it('are recognised as ours by their MAC', () => {
    const tokens = new RefreshTokens(randomBytes(32));
    const { token, tokenHash } = tokens.create('s'.repeat(22));
    expect(tokens.parse(token)).toEqual({ sessionId: 's'.repeat(22), tokenHash, authentic: true });
    expect(new RefreshTokens(randomBytes(32)).parse(token)?.authentic).toBe(false);
    expect(tokens.parse('nonsense')).toBeNull();
  });
});

describe('addresses', () => {
  it('count as IPv4 whole, as IPv6 by /64', () => {
    expect(plainAddress('::ffff:192.0.2.1')).toBe('192.0.2.1');
    expect(limitKey('192.0.2.1')).toBe('192.0.2.1');
    expect(limitKey('2001:db8:1:2:3:4:5:6')).toBe('2001:db8:1:2::/64');
    expect(limitKey('2001:db8::1')).toBe('2001:db8:0:0::/64');
    expect(limitKey('2001:0db8:0:0:ffff::1')).toBe('2001:db8:0:0::/64');
    expect(limitKey('::1')).toBe('0:0:0:0::/64');
    expect(limitKey('fe80::1%eth0')).toBe('fe80:0:0:0::/64');
    expect(limitKey(null)).toBe('unknown');
  });
});
