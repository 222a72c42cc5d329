const DAY_MS = 24 * 60 * 60 * 1000;

/** Root CA: longer than the devices in the field, and short of 2050, where UTCTime ends (RFC 5280 4.1.2.5). */
export const ROOT_VALIDITY_DAYS = 20 * 365;
/** Issuing CA: all leaves end with it, so it leaves room for a device issued in its tenth year. */
export const ISSUING_VALIDITY_DAYS = 15 * 365;

/** Days by profile. Servers: what browsers still take of a private CA, renewed at a restart. Devices: some cannot renew by themselves. */
export const LEAF_VALIDITY_DAYS = { server: 397, gatewayClient: 397, device: 5 * 365 } as const;

/** notBefore lies this far back, because device clocks go slow. Never before the issuer's own. */
export const BACKDATE_MS = 60 * 60 * 1000;

/** How long a CRL is good for, so that a gateway may be away for a week without every device being refused. */
export const CRL_LIFETIME_MS = 7 * DAY_MS;

/** A PKCS#10 request with an RSA-4096 key is below 2 KiB; stops parsing of what is none. */
export const MAX_CSR_CHARS = 16_384;

/** Smaller can be factored; larger makes each handshake a burden (a denial of service by key size). */
export const RSA_MODULUS_BITS = { min: 2048, max: 4096 } as const;

/** The one exponent everybody uses: 3 has padding attacks on record, a huge one makes verification slow. */
export const RSA_PUBLIC_EXPONENT = 65_537n;

/** Names in one server certificate. */
export const MAX_SAN_ENTRIES = 100;

/** PBKDF2-HMAC-SHA256 rounds (OWASP 2023) for keys at rest and PKCS#12; opening the authority costs some 0.15 s each. */
export const KDF_ITERATIONS = 600_000;

export { DAY_MS };
