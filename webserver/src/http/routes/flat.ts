import { z } from 'zod';
import {
  deviceNameSchema,
  macSchema,
  passwordSchema,
  pinSchema,
  pinValueSchema,
  epochSecondsSchema,
  TIMEOUT_MS,
  uartTextSchema,
  usernameSchema,
  type JsonObject,
} from '@postern/protocol';
import type { Accounts } from '../../domain/accounts.js';
import type { Control } from '../../domain/control.js';
import type { Provisioning } from '../../domain/provisioning.js';
import { defineRoute, json, type Route } from '../route.js';
import {
  flatControlBody,
  flatCredentials,
  flatListSchema,
  flatLoginSchema,
  flatRegisteredSchema,
  flatStatusSchema,
  replySchema,
  timeoutQuery,
} from '../schemas.js';
import { CALL_ERRORS } from './methods.js';

const OK = { status: 'OK' } as const;
const registry = { tag: 'Flat calls', style: 'flat-registry' } as const;
const answers = (schema: z.ZodType) => ({
  200: { description: '`status` is `OK`, or `NG, ` and the reason', schema },
});

/** The seed's accounts and registry: 200 with `status`, whatever came of it. */
export function flatRegistryRoutes(accounts: Accounts, provisioning: Provisioning): Route[] {
  return [
    defineRoute({
      ...registry,
      method: 'POST',
      path: '/signup',
      operationId: 'flatSignup',
      summary: 'Make an account',
      auth: 'none',
      loginLimited: true,
      body: z.object({ username: usernameSchema, password: passwordSchema }),
      responses: answers(flatStatusSchema),
      errors: ['RATE_LIMITED'],
      async handle({ body, origin }) {
        await accounts.signup(body, origin);
        return json(OK);
      },
    }),
    defineRoute({
      ...registry,
      method: 'POST',
      path: '/login',
      operationId: 'flatLogin',
      summary: 'Get a secret for the other flat calls',
      auth: 'none',
      loginLimited: true,
      ngFields: { secret: 'Unknown' },
      body: z.object({ username: z.string().max(256), password: z.string().max(1024) }),
      responses: answers(flatLoginSchema),
      errors: ['RATE_LIMITED'],
      handle: async ({ body, origin }) => json({ ...OK, secret: await accounts.flatLogin(body, origin) }),
    }),
    defineRoute({
      ...registry,
      method: 'POST',
      path: '/logout',
      operationId: 'flatLogout',
      summary: 'Revoke the secret',
      description:
        'An addition to the seed’s calls: without it a secret ends only 30 days after its last use.',
      auth: 'flat',
      body: z.object(flatCredentials),
      responses: answers(flatStatusSchema),
      errors: [],
      async handle({ principal, origin }) {
        await accounts.logout(principal, origin);
        return json(OK);
      },
    }),
    defineRoute({
      ...registry,
      method: 'POST',
      path: '/register_device',
      operationId: 'flatRegisterDevice',
      summary: 'Register a device; the gateway makes and keeps its key',
      auth: 'flat',
      idempotent: true,
      body: z.object({ ...flatCredentials, devicename: deviceNameSchema }),
      responses: answers(flatRegisteredSchema),
      errors: [],
      async handle({ principal, body, origin }) {
        const device = await provisioning.registerFlat(principal, body.devicename, origin);
        return json({ ...OK, ...device });
      },
    }),
    defineRoute({
      ...registry,
      method: 'POST',
      path: '/unregister_device',
      operationId: 'flatUnregisterDevice',
      summary: 'Remove a device',
      auth: 'flat',
      idempotent: true,
      body: z.object({ ...flatCredentials, devicename: z.string() }),
      responses: answers(flatStatusSchema),
      errors: [],
      async handle({ principal, body, origin }) {
        await provisioning.remove(principal, body.devicename, origin);
        return json(OK);
      },
    }),
    defineRoute({
      ...registry,
      method: 'GET',
      path: '/get_device_list',
      operationId: 'flatGetDeviceList',
      summary: 'All your devices with their certificates and keys, or one',
      description:
        '`devicepkey` is empty for a device that was registered through `/api/v1`: its key is not kept.',
      auth: 'flat',
      body: z.object({ ...flatCredentials, devicename: z.string().optional() }),
      responses: answers(flatListSchema),
      errors: [],
      async handle({ principal, body }) {
        const parts: Buffer[] = [Buffer.from('{"status":"OK","devices":[')];
        let first = true;
        for await (const devices of provisioning.listFlat(principal, body.devicename)) {
          if (devices.length === 0) continue;
          parts.push(Buffer.from(`${first ? '' : ','}${JSON.stringify(devices).slice(1, -1)}`));
          first = false;
        }
        parts.push(Buffer.from(']}'));
        return { status: 200, bytes: Buffer.concat(parts), contentType: 'application/json; charset=utf-8' };
      },
    }),
  ];
}

interface FlatControlCall {
  readonly http: 'GET' | 'POST';
  readonly path: string;
  readonly method: string;
  readonly summary: string;
  /** Fields that go to the device. */
  readonly fields?: Record<string, z.ZodType>;
  /** What goes to the device whatever the caller sent. */
  readonly fixed?: JsonObject;
}

const CONTROL_CALLS: readonly FlatControlCall[] = [
  {
    http: 'GET',
    path: '/get_gpio',
    method: 'get_gpio',
    summary: 'Read a pin',
    fields: { number: pinSchema },
  },
  {
    http: 'POST',
    path: '/set_gpio',
    method: 'set_gpio',
    summary: 'Set a pin',
    fields: { number: pinSchema, value: pinValueSchema },
  },
  { http: 'GET', path: '/get_rtc', method: 'get_rtc', summary: "Read the device's clock" },
  {
    http: 'POST',
    path: '/set_rtc',
    method: 'set_rtc',
    summary: "Set the device's clock",
    fields: { value: epochSecondsSchema },
  },
  { http: 'GET', path: '/get_mac', method: 'get_mac', summary: 'Read the MAC address' },
  {
    http: 'POST',
    path: '/set_mac',
    method: 'set_mac',
    summary: 'Set the MAC address',
    fields: { value: macSchema },
  },
  { http: 'GET', path: '/get_ip', method: 'get_ip', summary: 'Read the IP address' },
  { http: 'GET', path: '/get_subnet', method: 'get_subnet', summary: 'Read the subnet mask' },
  { http: 'GET', path: '/get_gateway', method: 'get_gateway', summary: 'Read the gateway address' },
  { http: 'GET', path: '/get_status', method: 'get_status', summary: 'Read the status' },
  {
    http: 'POST',
    path: '/set_status',
    method: 'set_status',
    summary: 'Restart the device (the one status that can be set)',
    fields: { status: z.literal('restart', { error: 'must be "restart", the only status that can be set' }) },
  },
  {
    http: 'POST',
    path: '/reset_device',
    method: 'set_status',
    summary: 'Restart the device',
    fixed: { status: 'restart' },
  },
  {
    http: 'POST',
    path: '/write_uart',
    method: 'write_uart',
    summary: "Write to the device's UART",
    fields: { data: uartTextSchema },
  },
];

/** The seed's control calls: the device's reply as it is, or 4xx and 5xx. */
export function flatControlRoutes(control: Control): Route[] {
  return CONTROL_CALLS.map(({ http, path, method, summary, fields = {}, fixed }) => {
    const names = Object.keys(fields);
    return defineRoute({
      tag: 'Flat calls',
      style: 'flat-control',
      method: http,
      path,
      operationId: `flat${path.replace(/[/_](.)/g, (_, letter: string) => letter.toUpperCase())}`,
      summary,
      auth: 'flat',
      idempotent: http === 'POST',
      query: timeoutQuery,
      body: flatControlBody(fields),
      responses: { 200: { description: "The device's reply", schema: replySchema(method) } },
      errors: CALL_ERRORS,
      async handle({ principal, query, body, origin }) {
        const payload: JsonObject = { ...fixed };
        for (const name of names) payload[name] = body[name];
        return json(
          await control.call({
            principal,
            deviceName: String(body['devicename']),
            method,
            payload,
            timeoutMs: query.timeoutMs ?? TIMEOUT_MS.default,
            origin,
          }),
        );
      },
    });
  });
}
