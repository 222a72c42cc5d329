import { z } from 'zod';

/** What gateway instances tell each other to forget. Hints: who misses one is right again when its cache expires. */
const changeSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('device'), deviceId: z.string() }),
  z.object({ kind: z.literal('session'), sessionId: z.string() }),
]);
export type Change = z.infer<typeof changeSchema>;

/** Null where it is none. */
export function parseChange(body: Buffer): Change | null {
  try {
    const result = changeSchema.safeParse(JSON.parse(body.toString('utf8')));
    return result.success ? result.data : null;
  } catch {
    return null;
  }
}
