/**
 * DER (X.690), as much of it as leaf certificates, CRLs, requests and names need. @peculiar/x509 makes and
 * reads the CA certificates; for a leaf it takes 3 to 5 ms, of which signing is a hundredth, and registration
 * is a hot path.
 */

function length(bytes: number): Buffer {
  if (bytes < 0x80) return Buffer.of(bytes);
  const digits: number[] = [];
  for (let rest = bytes; rest > 0; rest = Math.floor(rest / 256)) digits.unshift(rest % 256);
  return Buffer.of(0x80 | digits.length, ...digits);
}

export function tlv(tag: number, ...content: readonly Uint8Array[]): Buffer {
  const bytes = content.reduce((sum, part) => sum + part.length, 0);
  return Buffer.concat([Buffer.of(tag), length(bytes), ...content]);
}

export const sequence = (...parts: readonly Uint8Array[]): Buffer => tlv(0x30, ...parts);
export const set = (...parts: readonly Uint8Array[]): Buffer => tlv(0x31, ...parts);
export const octetString = (...parts: readonly Uint8Array[]): Buffer => tlv(0x04, ...parts);
export const utf8String = (text: string): Buffer => tlv(0x0c, Buffer.from(text, 'utf8'));
export const nullValue = (): Buffer => Buffer.of(0x05, 0x00);
export const trueValue = (): Buffer => Buffer.of(0x01, 0x01, 0xff);
export const enumerated = (value: number): Buffer => tlv(0x0a, Buffer.of(value));

/** A non-negative INTEGER from big-endian bytes, in its shortest form (X.690 8.3.2). */
export function unsignedInteger(bytes: Uint8Array): Buffer {
  let start = 0;
  while (start < bytes.length - 1 && bytes[start] === 0) start++;
  const digits = bytes.subarray(start);
  const first = digits[0] ?? 0;
  return first & 0x80
    ? tlv(0x02, Buffer.of(0), digits)
    : tlv(0x02, digits.length > 0 ? digits : Buffer.of(0));
}

export function integerFromHex(hex: string): Buffer {
  return unsignedInteger(Buffer.from(hex.length % 2 ? `0${hex}` : hex, 'hex'));
}

export function bitString(bytes: Uint8Array, unusedBits = 0): Buffer {
  return tlv(0x03, Buffer.of(unusedBits), bytes);
}

/** Dotted OBJECT IDENTIFIER. */
export function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  const bytes: number[] = [];
  for (const arc of [first * 40 + second, ...rest]) {
    const septets = [arc % 128];
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128)) {
      septets.unshift((left % 128) | 0x80);
    }
    bytes.push(...septets);
  }
  return tlv(0x06, Uint8Array.from(bytes));
}

/** UTCTime until 2049, GeneralizedTime from 2050, both to the second (RFC 5280 4.1.2.5). */
export function time(epochMs: number): Buffer {
  const digits = new Date(epochMs).toISOString().replace(/[-:T]/g, '').slice(0, 14);
  return digits < '2050'
    ? tlv(0x17, Buffer.from(`${digits.slice(2)}Z`, 'latin1'))
    : tlv(0x18, Buffer.from(`${digits}Z`, 'latin1'));
}

/** An X.509 extension (RFC 5280 4.2). */
export function extension(id: string, value: Uint8Array, critical = false): Buffer {
  return critical
    ? sequence(oid(id), trueValue(), octetString(value))
    : sequence(oid(id), octetString(value));
}

export interface Element {
  readonly tag: number;
  readonly content: Uint8Array;
  /** Tag, length and content. */
  readonly whole: Uint8Array;
}

/** The elements that lie one after the other, unread within. Throws a RangeError where one is cut. */
export function* elements(bytes: Uint8Array): Generator<Element> {
  for (let offset = 0; offset < bytes.length;) {
    const first = bytes[offset + 1] ?? 0;
    const digits = first < 0x80 ? 0 : first & 0x7f;
    const start = offset + 2 + digits;
    let size = digits === 0 ? first : 0;
    for (const digit of bytes.subarray(offset + 2, start)) size = size * 256 + digit;
    const end = start + size;
    if (first === 0x80 || end > bytes.length) throw new RangeError('DER that is cut or not DER');
    yield {
      tag: bytes[offset] ?? 0,
      content: bytes.subarray(start, end),
      whole: bytes.subarray(offset, end),
    };
    offset = end;
  }
}

/** DER as PEM, lines of 64 (RFC 7468). */
export function toPem(label: string, der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}
