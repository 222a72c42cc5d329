import { describe, expect, it } from 'vitest';
import { METHODS, helloSchema, replyTopic, type JsonObject } from '@postern/protocol';
import { SimulatedDevice, type DeviceStyle, type OutgoingMessage } from '@postern/simulators';
import { CORRELATION_VECTORS, METHOD_VECTORS } from './support/vectors.js';

const ID = 'dabcdefghijklmnopqrst';

function deviceWith(style: DeviceStyle): {
  sent: OutgoingMessage[];
  ask: (method: string, request: JsonObject) => Promise<JsonObject | undefined>;
} {
  const sent: OutgoingMessage[] = [];
  const device = new SimulatedDevice({ deviceId: ID, style });
  device.onSend = (message) => Promise.resolve(sent.push(message) > 0);
  const ask = async (method: string, request: JsonObject): Promise<JsonObject | undefined> => {
    const before = sent.length;
    await device.handle({ topic: `${ID}/${method}`, payload: Buffer.from(JSON.stringify(request)) });
    expect(sent.length - before).toBeLessThanOrEqual(1);
    if (sent[before]) expect(sent[before].topic).toBe(replyTopic(ID, method));
    return sent[before] && (JSON.parse(sent[before].payload.toString()) as JsonObject);
  };
  return { sent, ask };
}

describe.each<DeviceStyle>(['old', 'protocol2'])('the golden method vectors on a %s device', (style) => {
  it.each(METHOD_VECTORS.filter((vector) => style === 'protocol2' || !vector.protocol2Only))(
    '$method $request',
    async ({ method, request, reply, replyVaries, invalidRequests }) => {
      const { ask } = deviceWith(style);
      const answer = await ask(method, request);
      if (replyVaries) {
        expect(METHODS.get(method)!.reply.safeParse(answer).success).toBe(true);
        expect(Object.keys(answer!)).toEqual(Object.keys(reply));
      } else expect(answer).toEqual(reply);

      for (const invalid of invalidRequests) {
        const refused = await ask(method, invalid);
        if (style === 'old') expect(refused, JSON.stringify(invalid)).toBeUndefined();
        else expect(refused, JSON.stringify(invalid)).toMatchObject({ error: { code: 'BAD_REQUEST' } });
      }
    },
  );
});

describe('the golden correlation vectors', () => {
  it('hold, in the order given, on one device', async () => {
    const { deviceId, hello, exchanges } = CORRELATION_VECTORS;
    const sent: OutgoingMessage[] = [];
    const device = new SimulatedDevice({ deviceId, listExecutions: true });
    device.onSend = (message) => Promise.resolve(sent.push(message) > 0);

    const greeting = device.hello()!;
    expect(greeting.topic).toBe(hello.topic);
    expect(helloSchema.parse(JSON.parse(greeting.payload.toString())).methods).toEqual([...METHODS.keys()]);

    for (const { name, in: request, out, outMayRepeat } of exchanges) {
      sent.length = 0;
      await device.handle({ topic: request.topic, payload: Buffer.from(JSON.stringify(request.payload)) });
      const answers = sent.map(({ topic, payload }) => ({
        topic,
        payload: JSON.parse(payload.toString()) as JsonObject,
      }));
      if (out) {
        expect(answers, name).toHaveLength(1);
        expect(answers[0], name).toMatchObject(out);
        if (!('error' in out.payload)) expect(answers[0]!.payload, name).toEqual(out.payload);
      } else expect(answers, name).toEqual([outMayRepeat]);
    }
    expect(device.snapshot().executions).toEqual([{ method: 'set_gpio', correlationId: 'c-1', times: 1 }]);
  });
});
