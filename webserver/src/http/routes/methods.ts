import {
  API_PREFIX,
  jsonObjectSchema,
  methodNameSchema,
  METHODS,
  networkSchema,
  postUartSchema,
  putGpioSchema,
  putMacSchema,
  putRtcSchema,
  TIMEOUT_MS,
  type ErrorCode,
  type JsonObject,
} from '@postern/protocol';
import type { Control } from '../../domain/control.js';
import { defineRoute, json, type Context, type Route } from '../route.js';
import { deviceParams, emptyBody, methodParams, pinParams, replySchema, timeoutQuery } from '../schemas.js';
import { validate } from '../validate.js';

const PATH = `${API_PREFIX}/devices/:name`;
/** What may come of asking a device. */
export const CALL_ERRORS: readonly ErrorCode[] = [
  'DEVICE_NOT_FOUND',
  'DEVICE_BUSY',
  'RATE_LIMITED',
  'DEVICE_ERROR',
  'DEVICE_BAD_REPLY',
  'DEVICE_OFFLINE',
  'BROKER_UNAVAILABLE',
  'DEVICE_TIMEOUT',
];
const base = {
  tag: 'Direct methods',
  style: 'api',
  auth: 'bearer',
  query: timeoutQuery,
  errors: CALL_ERRORS,
} as const;

type CallContext = Context<{ name: string }, { timeoutMs?: number | undefined }>;

export function methodRoutes(control: Control): Route[] {
  const call = async (ctx: CallContext, method: string, payload: JsonObject): Promise<JsonObject> =>
    control.call({
      principal: ctx.principal,
      deviceName: ctx.params.name,
      method,
      payload,
      timeoutMs: ctx.query.timeoutMs ?? TIMEOUT_MS.default,
      origin: ctx.origin,
    });

  /** GET of a method that takes nothing. */
  const read = (resource: string, method: string, summary: string): Route =>
    defineRoute({
      ...base,
      method: 'GET',
      path: `${PATH}/${resource}`,
      operationId: method.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase()),
      summary,
      params: deviceParams,
      responses: { 200: { description: "The device's reply", schema: replySchema(method) } },
      handle: async (ctx) => json(await call(ctx, method, {})),
    });

  return [
    defineRoute({
      ...base,
      method: 'GET',
      path: `${PATH}/gpio/:pin`,
      operationId: 'getGpio',
      summary: 'Read a pin',
      params: pinParams,
      responses: { 200: { description: "The device's reply", schema: replySchema('get_gpio') } },
      handle: async (ctx) => json(await call(ctx, 'get_gpio', { number: ctx.params.pin })),
    }),
    defineRoute({
      ...base,
      method: 'PUT',
      path: `${PATH}/gpio/:pin`,
      operationId: 'setGpio',
      summary: 'Set a pin',
      idempotent: true,
      params: pinParams,
      body: putGpioSchema,
      responses: { 200: { description: "The device's reply", schema: replySchema('set_gpio') } },
      handle: async (ctx) =>
        json(await call(ctx, 'set_gpio', { number: ctx.params.pin, value: ctx.body.value })),
    }),
    read('rtc', 'get_rtc', "The device's clock, seconds since 1970"),
    defineRoute({
      ...base,
      method: 'PUT',
      path: `${PATH}/rtc`,
      operationId: 'setRtc',
      summary: "Set the device's clock",
      idempotent: true,
      params: deviceParams,
      body: putRtcSchema,
      responses: { 200: { description: "The device's reply", schema: replySchema('set_rtc') } },
      handle: async (ctx) => json(await call(ctx, 'set_rtc', { value: ctx.body.value })),
    }),
    read('mac', 'get_mac', "The device's MAC address"),
    defineRoute({
      ...base,
      method: 'PUT',
      path: `${PATH}/mac`,
      operationId: 'setMac',
      summary: "Set the device's MAC address",
      idempotent: true,
      params: deviceParams,
      body: putMacSchema,
      responses: { 200: { description: "The device's reply", schema: replySchema('set_mac') } },
      handle: async (ctx) => json(await call(ctx, 'set_mac', { value: ctx.body.value })),
    }),
    read('ip', 'get_ip', "The device's IP address"),
    read('subnet', 'get_subnet', "The device's subnet mask"),
    read('gateway', 'get_gateway', "The device's gateway"),
    read('status', 'get_status', "The device's status"),
    defineRoute({
      ...base,
      method: 'GET',
      path: `${PATH}/network`,
      operationId: 'getNetwork',
      summary: 'Address, subnet, gateway and MAC, asked side by side',
      params: deviceParams,
      responses: { 200: { description: 'What the device said', schema: networkSchema } },
      handle: async (ctx) =>
        json(
          await control.network({
            principal: ctx.principal,
            deviceName: ctx.params.name,
            timeoutMs: ctx.query.timeoutMs ?? TIMEOUT_MS.default,
            origin: ctx.origin,
          }),
        ),
    }),
    defineRoute({
      ...base,
      method: 'POST',
      path: `${PATH}/reset`,
      operationId: 'reset',
      summary: 'Restart the device',
      idempotent: true,
      params: deviceParams,
      bodyOptional: true,
      body: emptyBody,
      responses: { 200: { description: "The device's reply", schema: replySchema('set_status') } },
      handle: async (ctx) => json(await call(ctx, 'set_status', { status: 'restart' })),
    }),
    defineRoute({
      ...base,
      method: 'POST',
      path: `${PATH}/uart`,
      operationId: 'writeUart',
      summary: "Write to the device's UART",
      description:
        'At most 1,024 bytes. Base64 that holds text goes to every device; other bytes to devices of protocol 2 only.',
      idempotent: true,
      params: deviceParams,
      body: postUartSchema,
      responses: { 200: { description: "The device's reply", schema: replySchema('write_uart') } },
      handle: async (ctx) => json(await call(ctx, 'write_uart', ctx.body)),
    }),
    defineRoute({
      ...base,
      method: 'POST',
      path: `${PATH}/methods/:method`,
      operationId: 'callMethod',
      summary: 'Call any method with any JSON object',
      description:
        'Methods that have a resource of their own are checked as there; others take any object. `reply` and `hello` are reserved.',
      idempotent: true,
      params: methodParams,
      bodyOptional: true,
      body: jsonObjectSchema,
      responses: { 200: { description: "The device's reply", schema: jsonObjectSchema } },
      handle: async (ctx) => {
        const method = validate(methodNameSchema, ctx.params.method, 'path');
        const spec = METHODS.get(method);
        return json(await call(ctx, method, spec ? validate(spec.request, ctx.body, 'body') : ctx.body));
      },
    }),
  ];
}
