import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { BrokerConfigError } from './errors.js';

/** RabbitMQ starts with unreadable TLS files and then refuses each handshake; this says so before it starts. */
export function checkTlsFiles(
  label: string,
  files: { caFile: string; certFile: string; keyFile: string; crlDir?: string | undefined },
): void {
  const read = (field: string, file: string): string => {
    try {
      return readFileSync(file, 'utf8');
    } catch (error) {
      const reason = (error as NodeJS.ErrnoException).code ?? String(error);
      throw new BrokerConfigError(`${label}.${field}: ${file} cannot be read (${reason})`, { cause: error });
    }
  };
  const parse = <T>(field: string, file: string, what: string, make: (pem: string) => T): T => {
    const pem = read(field, file);
    try {
      return make(pem);
    } catch (error) {
      throw new BrokerConfigError(`${label}.${field}: ${file} is no ${what} in PEM`, { cause: error });
    }
  };
  parse('caFile', files.caFile, 'certificate', (pem) => new X509Certificate(pem));
  const leaf = parse('certFile', files.certFile, 'certificate', (pem) => new X509Certificate(pem));
  const key = parse('keyFile', files.keyFile, 'unencrypted private key', (pem) => createPrivateKey(pem));
  if (!leaf.checkPrivateKey(key)) {
    throw new BrokerConfigError(`${label}: the key in ${files.keyFile} does not belong to ${files.certFile}`);
  }
  if (Date.parse(leaf.validTo) <= Date.now()) {
    throw new BrokerConfigError(
      `${label}.certFile: the certificate in ${files.certFile} ended on ${leaf.validTo}; renew it`,
    );
  }
  if (files.crlDir !== undefined) {
    let names: string[];
    try {
      names = readdirSync(files.crlDir);
    } catch (error) {
      throw new BrokerConfigError(`${label}.crlDir: ${files.crlDir} cannot be read`, { cause: error });
    }
    if (!names.some((name) => /^[0-9a-f]{8}\.r\d+$/.test(name))) {
      throw new BrokerConfigError(
        `${label}.crlDir: ${files.crlDir} holds no CRL (<OpenSSL subject hash>.r0); without one every connection would be refused`,
      );
    }
  }
}
