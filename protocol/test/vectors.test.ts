import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  DEVICE_ERROR_CODES,
  METHODS,
  helloTopic,
  isDeviceId,
  newDeviceId,
  parseServerRoutingKey,
  topicToRoutingKey,
  type JsonObject,
} from '@postern/protocol';

const vectors = JSON.parse(readFileSync(new URL('../vectors/methods.json', import.meta.url), 'utf8')) as {
  methods: { method: string; request: JsonObject; reply: JsonObject; invalidRequests: JsonObject[] }[];
};

describe('the golden method vectors', () => {
  it('cover every method of the table', () => {
    expect(new Set(vectors.methods.map((vector) => vector.method))).toEqual(new Set(METHODS.keys()));
  });

  it.each(vectors.methods)('$method $request', ({ method, request, reply, invalidRequests }) => {
    const spec = METHODS.get(method)!;
    expect(spec.request.parse(request)).toEqual(request);
    expect(spec.reply.parse({ ...reply, extra: 1 })).toEqual({ ...reply, extra: 1 });
    if (spec.changes && method !== 'set_status') expect(spec.signature(reply)).toBe(spec.signature(request));
    for (const invalid of invalidRequests)
      expect(spec.request.safeParse(invalid).success, JSON.stringify(invalid)).toBe(false);
    expect(spec.request.safeParse({ ...request, extra: 1 }).success).toBe(false);
  });
});

describe('the correlation vectors', () => {
  it('speak of a valid device id and of known error codes', () => {
    const file = JSON.parse(
      readFileSync(new URL('../vectors/correlation.json', import.meta.url), 'utf8'),
    ) as {
      deviceId: string;
      hello: { topic: string };
      exchanges: { out: { payload: { error?: { code: string } } } | null }[];
    };
    expect(isDeviceId(file.deviceId)).toBe(true);
    expect(file.hello.topic).toBe(helloTopic(file.deviceId));
    for (const { out } of file.exchanges) {
      if (out?.payload.error) expect(Object.keys(DEVICE_ERROR_CODES)).toContain(out.payload.error.code);
    }
  });
});

describe('addresses', () => {
  it('read the sender back from a routing key, and nothing from others', () => {
    const id = newDeviceId();
    expect(isDeviceId(id)).toBe(true);
    expect(parseServerRoutingKey(topicToRoutingKey(`server/${id}/reply/x`))).toEqual({
      deviceId: id,
      rest: 'reply.x',
    });
    for (const key of ['server', 'server.', 'server..x', `server.${id}`, `server.${id}.`, `${id}.get_gpio`]) {
      expect(parseServerRoutingKey(key), key).toBeNull();
    }
  });
});
