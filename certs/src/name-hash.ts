import { createHash } from 'node:crypto';
import * as der from './der.js';

/** String types that OpenSSL makes canonical (crypto/x509/x_name.c), by tag; other values stay as they are. */
const DECODERS = new Map<number, (value: Buffer) => string>([
  [0x0c, (value) => value.toString('utf8')], // UTF8String
  [0x13, (value) => value.toString('latin1')], // PrintableString
  [0x14, (value) => value.toString('latin1')], // TeletexString
  [0x16, (value) => value.toString('latin1')], // IA5String
  [0x1a, (value) => value.toString('latin1')], // VisibleString
  [0x1e, (value) => Buffer.from(value).swap16().toString('utf16le')], // BMPString
]);

/**
 * The hash by which OpenSSL and Erlang find a CA or a CRL in a folder: of the name's canonical form (strings
 * in UTF-8, ASCII in lower case, white space trimmed and joined, no outer SEQUENCE) the first four octets of
 * SHA-1, little-endian. X509_NAME_hash of OpenSSL 1.0 and later; `public_key:short_name_hash/1`.
 *
 * @param name an X.501 Name, DER
 */
export function nameHash(name: Uint8Array): string {
  const canonical = children(only(name)).map((rdn) => {
    const attributes = children(rdn).map(canonicalAttribute);
    // SET OF is sorted in DER (X.690 11.6).
    return der.set(...attributes.sort(Buffer.compare));
  });
  const digest = createHash('sha1').update(Buffer.concat(canonical)).digest();
  return digest.readUInt32LE(0).toString(16).padStart(8, '0');
}

/** The issuer's name of a CRL, DER (RFC 5280 5.1). */
export function crlIssuer(crl: Uint8Array): Uint8Array {
  const [toBeSigned] = children(only(crl));
  const fields = toBeSigned ? children(toBeSigned) : [];
  const version = fields[0]?.tag === 0x02 ? 1 : 0;
  const issuer = fields[version + 1];
  if (issuer === undefined) throw new RangeError('not a CRL');
  return issuer.whole;
}

function canonicalAttribute(attribute: der.Element): Buffer {
  const [type, value] = children(attribute);
  if (type === undefined || value === undefined) throw new RangeError('not an X.501 Name');
  const decode = DECODERS.get(value.tag);
  if (decode === undefined) return der.sequence(type.whole, value.whole);
  const text = decode(Buffer.from(value.content))
    .replace(/[ \t\n\v\f\r]+/g, ' ')
    .replace(/^ | $/g, '')
    .replace(/[A-Z]/g, (letter) => letter.toLowerCase());
  return der.sequence(type.whole, der.utf8String(text));
}

function children(element: der.Element): der.Element[] {
  return [...der.elements(element.content)];
}

function only(bytes: Uint8Array): der.Element {
  const [element, more] = der.elements(bytes);
  if (element === undefined || more !== undefined) throw new RangeError('not one DER element');
  return element;
}
