import { deviceListSchema, PAGE_SIZE } from '@postern/protocol';
import type { CommandContext } from '../context.js';

const KINDS = ['device', 'profile'] as const;
export type WordKind = (typeof KINDS)[number];
export const isWordKind = (text: string): text is WordKind => (KINDS as readonly string[]).includes(text);

/** Who presses Tab does not wait longer than this, in milliseconds. */
export const COMPLETION_TIMEOUT_MS = 2_000;

/** Words for completion; none where something is wrong, since a shell has no place for an error there. */
export async function completeWords(ctx: CommandContext, kind: WordKind): Promise<string[]> {
  try {
    if (kind === 'profile') return ctx.store.names();
    const { devices } = await ctx.connect().client.call({
      method: 'GET',
      path: ['devices'],
      query: { limit: PAGE_SIZE.max },
      answer: deviceListSchema,
      timeoutMs: COMPLETION_TIMEOUT_MS,
    });
    return devices.map(({ name }) => name);
  } catch {
    return [];
  }
}
