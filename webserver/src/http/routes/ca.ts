import { z } from 'zod';
import type { Provisioning } from '../../domain/provisioning.js';
import type { Revocation } from '../../domain/revocation.js';
import { defineRoute, type Route } from '../route.js';

const base = { tag: 'Certificate authority', style: 'api', auth: 'none', errors: [] } as const;
/** Revocations must be seen soon; the root does not change. */
const CACHE = { crl: 'public, max-age=60', root: 'public, max-age=3600' } as const;

/** The path of the CRL that leaves name (RFC 5280 4.2.1.13). */
export const CRL_PATH = '/ca/issuing.crl';

export function caRoutes(provisioning: Provisioning, revocation: Revocation): Route[] {
  const root = Buffer.from(provisioning.rootCaPem);
  const der = (path: string, operationId: string): Route =>
    defineRoute({
      ...base,
      method: 'GET',
      path,
      operationId,
      summary: 'Revoked certificates (RFC 5280 5), DER',
      responses: {
        200: { description: 'The CRL', schema: z.string(), contentType: 'application/pkix-crl' },
      },
      async handle() {
        const list = await revocation.current();
        return {
          status: 200,
          bytes: Buffer.from(list.der),
          contentType: 'application/pkix-crl',
          headers: { 'Cache-Control': CACHE.crl },
        };
      },
    });
  return [
    defineRoute({
      ...base,
      method: 'GET',
      path: '/ca/rootca.pem',
      operationId: 'rootCa',
      summary: 'The root certificate, PEM',
      responses: {
        200: { description: 'The root', schema: z.string(), contentType: 'application/x-pem-file' },
      },
      handle: () => ({
        status: 200,
        bytes: root,
        contentType: 'application/x-pem-file',
        headers: { 'Cache-Control': CACHE.root },
      }),
    }),
    der(CRL_PATH, 'crl'),
    der('/ca/crl.der', 'crlDer'),
    defineRoute({
      ...base,
      method: 'GET',
      path: '/ca/crl.pem',
      operationId: 'crlPem',
      summary: 'Revoked certificates, PEM',
      responses: {
        200: { description: 'The CRL', schema: z.string(), contentType: 'application/x-pem-file' },
      },
      async handle() {
        const list = await revocation.current();
        return {
          status: 200,
          bytes: Buffer.from(list.pem),
          contentType: 'application/x-pem-file',
          headers: { 'Cache-Control': CACHE.crl },
        };
      },
    }),
  ];
}
