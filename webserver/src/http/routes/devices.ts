import {
  API_PREFIX,
  certificateListSchema,
  certificateSchema,
  deviceListSchema,
  deviceSchema,
  issuedSchema,
  PAGE_SIZE,
  registerDeviceSchema,
  renewCertificateSchema,
  revokeCertificateSchema,
} from '@postern/protocol';
import type { Clock } from '../../domain/ports.js';
import type { IssuedDevice, Provisioning } from '../../domain/provisioning.js';
import { decodeCursor, encodeCursor } from '../cursor.js';
import { defineRoute, json, noContent, type Route } from '../route.js';
import { deviceParams, pageQuery, serialParams } from '../schemas.js';
import { certificateView, deviceView, issuedView, type IssuedContext } from '../views.js';

const PATH = `${API_PREFIX}/devices`;
const base = { tag: 'Devices', style: 'api', auth: 'bearer' } as const;

export interface DeviceRoutesOptions {
  readonly provisioning: Provisioning;
  readonly clock: Clock;
  readonly broker: IssuedContext['broker'];
}

export function deviceRoutes({ provisioning, clock, broker }: DeviceRoutesOptions): Route[] {
  const issued = (made: IssuedDevice) => ({
    status: 201,
    json: issuedView(made, {
      now: clock.now(),
      rootCaPem: provisioning.rootCaPem,
      broker,
      topics: provisioning.topics(made.device.id),
    }),
  });
  return [
    defineRoute({
      ...base,
      method: 'GET',
      path: PATH,
      operationId: 'listDevices',
      summary: 'Your devices, by name',
      query: pageQuery,
      responses: { 200: { description: 'One page', schema: deviceListSchema } },
      errors: [],
      async handle({ principal, query }) {
        const page = { limit: query.limit ?? PAGE_SIZE.default, after: decodeCursor(query.cursor) };
        const { items, next } = await provisioning.list(principal, page);
        return json({ devices: items.map(deviceView), nextCursor: encodeCursor(next) });
      },
    }),
    defineRoute({
      ...base,
      method: 'POST',
      path: PATH,
      operationId: 'registerDevice',
      summary: 'Register a device and issue its first certificate',
      description:
        'With `csr` (PKCS#10, PEM) the key never leaves the device. Without, the gateway makes one and hands it out this once.',
      idempotent: true,
      body: registerDeviceSchema,
      responses: {
        201: { description: 'The device, its certificate, and how to connect', schema: issuedSchema },
      },
      errors: ['DEVICE_NAME_TAKEN', 'CSR_REJECTED', 'QUOTA_EXCEEDED'],
      location: ({ body }) => `${PATH}/${encodeURIComponent(body.name)}`,
      handle: async ({ principal, body, origin }) =>
        issued(await provisioning.register(principal, body, origin)),
    }),
    defineRoute({
      ...base,
      method: 'GET',
      path: `${PATH}/:name`,
      operationId: 'showDevice',
      summary: 'One device and its presence',
      params: deviceParams,
      responses: { 200: { description: 'The device', schema: deviceSchema } },
      errors: ['DEVICE_NOT_FOUND'],
      handle: async ({ principal, params }) =>
        json(deviceView(await provisioning.show(principal, params.name))),
    }),
    defineRoute({
      ...base,
      method: 'DELETE',
      path: `${PATH}/:name`,
      operationId: 'removeDevice',
      summary: 'Remove a device, revoke its certificates, end its sessions',
      params: deviceParams,
      responses: { 204: { description: 'The device is removed' } },
      errors: ['DEVICE_NOT_FOUND'],
      async handle({ principal, params, origin }) {
        await provisioning.remove(principal, params.name, origin);
        return noContent;
      },
    }),
    defineRoute({
      ...base,
      method: 'GET',
      path: `${PATH}/:name/certificates`,
      operationId: 'listCertificates',
      summary: "A device's certificates, the newest first",
      params: deviceParams,
      responses: { 200: { description: 'The certificates', schema: certificateListSchema } },
      errors: ['DEVICE_NOT_FOUND'],
      async handle({ principal, params }) {
        const certificates = await provisioning.certificates(principal, params.name);
        const now = clock.now();
        return json({ certificates: certificates.map((certificate) => certificateView(certificate, now)) });
      },
    }),
    defineRoute({
      ...base,
      method: 'POST',
      path: `${PATH}/:name/certificates/renew`,
      operationId: 'renewCertificate',
      summary: 'Issue a further certificate; the ones before it stay good',
      idempotent: true,
      params: deviceParams,
      bodyOptional: true,
      body: renewCertificateSchema,
      responses: { 201: { description: 'The new certificate', schema: issuedSchema } },
      errors: ['DEVICE_NOT_FOUND', 'CSR_REJECTED', 'QUOTA_EXCEEDED'],
      location: ({ params }) => `${PATH}/${encodeURIComponent(params.name)}/certificates`,
      handle: async ({ principal, params, body, origin }) =>
        issued(await provisioning.renew(principal, params.name, body, origin)),
    }),
    defineRoute({
      ...base,
      method: 'POST',
      path: `${PATH}/:name/certificates/:serial/revoke`,
      operationId: 'revokeCertificate',
      summary: 'Revoke a certificate',
      description:
        'Once answered, the CRL holds it and no session of the device goes on; one with another good certificate may connect again.',
      idempotent: true,
      params: serialParams,
      bodyOptional: true,
      body: revokeCertificateSchema,
      responses: { 200: { description: 'The certificate', schema: certificateSchema } },
      errors: ['DEVICE_NOT_FOUND', 'CERTIFICATE_NOT_FOUND', 'CERTIFICATE_ALREADY_REVOKED'],
      async handle({ principal, params, body, origin }) {
        const { name, serial } = params;
        const reason = body.reason ?? 'unspecified';
        const certificate = await provisioning.revoke(principal, { name, serial, reason }, origin);
        return json(certificateView(certificate, clock.now()));
      },
    }),
  ];
}
