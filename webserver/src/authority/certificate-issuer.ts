import { CsrError, type Authority } from '@postern/certs';
import { ExpectedError } from '../domain/errors.js';
import type { CertificateIssuer } from '../domain/ports.js';

/** The domain's issuer over our own certificate authority. */
export function createCertificateIssuer(
  authority: Pick<Authority, 'rootCaPem' | 'issueDevice' | 'buildCrl'>,
): CertificateIssuer {
  return {
    rootCaPem: authority.rootCaPem,
    async issueDevice(request) {
      try {
        return await authority.issueDevice(request);
      } catch (error) {
        if (error instanceof CsrError)
          throw new ExpectedError('CSR_REJECTED', { detail: error.message, cause: error });
        throw error;
      }
    },
    buildCrl: (input) => authority.buildCrl(input),
  };
}
