import { z } from 'zod';
import { MAX_REPLY_BYTES, type JsonObject } from '@postern/protocol';
import { pickInRange, type Random } from './random.js';

/** No delay beyond ten minutes: twice the longest call of the gateway, and a bound on what a device holds. */
export const MAX_DELAY_MS = 600_000;

export const GARBAGE_KINDS = ['not-json', 'wrong-fields', 'wrong-type', 'oversized'] as const;
export type GarbageKind = (typeof GARBAGE_KINDS)[number];

const delay = z.int().min(0).max(MAX_DELAY_MS, `must be 0 to ${MAX_DELAY_MS} ms`);
const range = z
  .strictObject({ min: delay, max: delay })
  .refine(({ min, max }) => min <= max, 'min must not be above max');
const probability = z.number().min(0, 'must be 0 to 1').max(1, 'must be 0 to 1');

/** What goes wrong, and how often. All of it can be changed while the device runs. */
export const faultsSchema = z.strictObject({
  /** How long a request is at work before its reply goes out. */
  delayMs: range,
  /** Probability that a request is carried out and its reply is lost. */
  silence: probability,
  /** Probability that a reply is sent twice. */
  duplicate: probability,
  /** How long after the first the second one goes out. */
  duplicateDelayMs: range,
  /** Probability that the reply is nonsense (the request is carried out). */
  garbage: probability,
  /** The kinds of nonsense, each as likely as the other. */
  garbageKinds: z.array(z.enum(GARBAGE_KINDS)).min(1),
  /** Mean time between connections cut by the device, exponentially distributed; 0 cuts none. */
  disconnectMeanMs: z.int().min(0),
});
export type Faults = z.infer<typeof faultsSchema>;

export const NO_FAULTS: Faults = {
  delayMs: { min: 0, max: 0 },
  silence: 0,
  duplicate: 0,
  duplicateDelayMs: { min: 0, max: 0 },
  garbage: 0,
  garbageKinds: [...GARBAGE_KINDS],
  disconnectMeanMs: 0,
};

/** What shall happen to one reply. Every draw is made for every reply, so that a seed gives one sequence. */
export interface ReplyFate {
  delayMs: number;
  silent: boolean;
  duplicateAfterMs: number | null;
  garbage: GarbageKind | null;
}

export function drawFate(faults: Faults, random: Random): ReplyFate {
  const delayMs = pickInRange(random, faults.delayMs);
  const silent = random() < faults.silence;
  const duplicated = random() < faults.duplicate;
  const duplicateAfterMs = pickInRange(random, faults.duplicateDelayMs);
  const spoiled = random() < faults.garbage;
  const kind = faults.garbageKinds[Math.floor(random() * faults.garbageKinds.length)]!;
  return {
    delayMs,
    silent,
    duplicateAfterMs: duplicated ? duplicateAfterMs : null,
    garbage: spoiled ? kind : null,
  };
}

/** A nonsense payload. `envelope` (a correlation id) is kept where the kind allows it, so that it finds its call. */
export function garbagePayload(kind: GarbageKind, reply: JsonObject, envelope: JsonObject): Buffer {
  switch (kind) {
    case 'not-json':
      return Buffer.from('{"value": \u0000 this is no JSON');
    case 'wrong-fields':
      return Buffer.from(JSON.stringify({ unexpected: true, ...envelope }));
    case 'wrong-type':
      // Every field of the right name holds an array, which no method answers with.
      return Buffer.from(
        JSON.stringify({
          ...Object.fromEntries(Object.keys(reply).map((field) => [field, [field]])),
          ...envelope,
        }),
      );
    case 'oversized':
      return Buffer.from(JSON.stringify({ ...reply, ...envelope, padding: 'x'.repeat(MAX_REPLY_BYTES) }));
  }
}
