import { METHODS, type DEVICE_ERROR_CODES, type JsonObject } from '@postern/protocol';
import { normalMac, type Ft900State } from './ft900-state.js';

export type DeviceErrorCode = keyof typeof DEVICE_ERROR_CODES;

/** Thrown where a request cannot be carried out; reaches the caller as `{"error":{"code","message"}}`. */
export class DeviceMethodError extends Error {
  readonly code: DeviceErrorCode;
  constructor(code: DeviceErrorCode, message: string) {
    super(message);
    this.name = 'DeviceMethodError';
    this.code = code;
  }
}

/** What a method leaves for its device to do: bytes for the UART, or a restart once the reply is out. */
export interface MethodOutcome {
  reply: JsonObject;
  uart?: Buffer;
  restart?: true;
}

type Handler = (state: Ft900State, request: JsonObject) => MethodOutcome;

const HANDLERS: Record<string, Handler> = {
  get_status: () => ({ reply: { status: 'running' } }),
  set_status: () => ({ reply: { status: 'restarting' }, restart: true }),
  get_gpio: (state, { number }) => ({ reply: { number, value: state.getPin(number as number) } }),
  set_gpio: (state, { number, value }) => {
    state.setPin(number as number, value as number);
    return { reply: { number, value: state.getPin(number as number) } };
  },
  get_rtc: (state) => ({ reply: { value: state.rtc } }),
  set_rtc: (state, { value }) => {
    state.rtc = value as number;
    return { reply: { value } };
  },
  get_mac: (state) => ({ reply: { value: state.mac } }),
  set_mac: (state, { value }) => {
    state.mac = normalMac(value as string);
    return { reply: { value: state.mac } };
  },
  get_ip: (state) => ({ reply: { value: state.network.ip } }),
  get_subnet: (state) => ({ reply: { value: state.network.subnet } }),
  get_gateway: (state) => ({ reply: { value: state.network.gateway } }),
  write_uart: (_state, request) => ({
    reply: { ...request },
    uart: Buffer.from(request['data'] as string, request['encoding'] === 'base64' ? 'base64' : 'utf8'),
  }),
};

export const METHOD_NAMES: readonly string[] = Object.keys(HANDLERS);

/** The fields that a device of the seed's kind reads; it looks at no other. */
const OLD_STYLE_FIELDS: Record<string, readonly string[]> = {
  set_status: ['status'],
  get_gpio: ['number'],
  set_gpio: ['number', 'value'],
  set_rtc: ['value'],
  set_mac: ['value'],
  write_uart: ['data'],
};

/** The request as a device of the seed's kind sees it. */
export function knownFields(method: string, request: JsonObject): JsonObject {
  const fields = OLD_STYLE_FIELDS[method] ?? [];
  return Object.fromEntries(
    fields.filter((field) => Object.hasOwn(request, field)).map((field) => [field, request[field]]),
  );
}

/**
 * Carries out one method of the wire contract.
 * @throws DeviceMethodError METHOD_UNKNOWN, or BAD_REQUEST with the field and what would be right
 */
export function executeMethod(state: Ft900State, method: string, request: JsonObject): MethodOutcome {
  const spec = METHODS.get(method);
  const handler = Object.hasOwn(HANDLERS, method) ? HANDLERS[method] : undefined;
  if (!spec || !handler) {
    throw new DeviceMethodError(
      'METHOD_UNKNOWN',
      `this device does not know ${JSON.stringify(method.slice(0, 64))}; it knows ${METHOD_NAMES.join(', ')}`,
    );
  }
  const parsed = spec.request.safeParse(request);
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!;
    const where = issue.path.length > 0 ? `${issue.path.join('.')}: ` : '';
    throw new DeviceMethodError('BAD_REQUEST', `${method}: ${where}${issue.message}`.slice(0, 512));
  }
  return handler(state, parsed.data);
}
