import type { IncomingMessage } from 'node:http';
import { isIPv6 } from 'node:net';
import proxyAddr from 'proxy-addr';

/** Whose request this is; null once its connection is gone. */
export type AddressReader = (req: IncomingMessage) => string | null;

/**
 * `trustProxy`: how many proxies there are between the clients and here, or their addresses; false: none, and
 * X-Forwarded-For is not looked at.
 */
export function addressReader(trustProxy: false | number | string[]): AddressReader {
  if (trustProxy === false) return (req) => plainAddress(req.socket.remoteAddress);
  const trusted =
    typeof trustProxy === 'number'
      ? (_address: string, hop: number): boolean => hop < trustProxy
      : proxyAddr.compile(trustProxy);
  return (req) => plainAddress(proxyAddr(req, trusted));
}

/** IPv4 inside IPv6 (`::ffff:192.0.2.1`, what a dual-stack listener reports) as plain IPv4. */
export function plainAddress(address: string | undefined): string | null {
  if (address === undefined || address === '') return null;
  return /^::ffff:\d+\.\d+\.\d+\.\d+$/i.test(address) ? address.slice(7) : address;
}

/** What a limit counts by: an IPv4 address, or the /64 of an IPv6 one, since a subscriber gets a whole /64 (RFC 6177). */
export function limitKey(address: string | null): string {
  if (address === null) return 'unknown';
  const bare = address.split('%')[0]!;
  if (!isIPv6(bare)) return address;
  const [head = '', tail] = bare.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - left.length - right.length);
  const groups = [...left, ...Array<string>(zeros).fill('0'), ...right];
  return `${groups
    .slice(0, 4)
    .map((group) => parseInt(group, 16).toString(16))
    .join(':')}::/64`;
}

export function isLoopback(address: string | null): boolean {
  return address === '::1' || (address?.startsWith('127.') ?? false);
}
