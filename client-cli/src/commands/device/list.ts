import { PAGE_SIZE, deviceListSchema, type DeviceView } from '@postern/protocol';
import type { CommandContext, Verb } from '../../context.js';
import { UsageError } from '../../errors.js';
import { lastSeen, stateCell, transportText } from './presence.js';

function limitArgument(text: string): number {
  const limit = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (limit < 1) throw new UsageError(`--limit is "${text}"; it must be a whole number from 1.`);
  return limit;
}

interface ListOptions {
  limit?: number;
  cursor?: string;
}

export const addDeviceList: Verb = (parent, bind) => {
  parent
    .command('list')
    .description('list your devices, by name')
    .option('--limit <n>', 'at most this many (default: all)', limitArgument)
    .option('--cursor <cursor>', 'go on where an earlier list ended (its nextCursor)')
    .action(
      bind<[], ListOptions>(async ({ ctx, options }) => {
        const page = await collect(ctx, options);
        const now = ctx.io.now();
        ctx.out.result(page, () => {
          if (page.devices.length === 0)
            return ctx.out.note('No devices. Register one: postern device register <name>');
          ctx.out.table(
            ['NAME', 'STATE', 'LAST SEEN', 'TRANSPORT', 'ADDRESS', 'ID'],
            page.devices.map(({ name, id, presence }) => [
              { text: name },
              stateCell(presence),
              { text: lastSeen(presence, now) },
              { text: transportText(presence) },
              { text: presence.address ?? '-' },
              { text: id },
            ]),
          );
          if (page.nextCursor !== null) ctx.out.note(`There are more: --cursor ${page.nextCursor}`);
        });
      }),
    );
};

async function collect(
  ctx: CommandContext,
  options: ListOptions,
): Promise<{ devices: DeviceView[]; nextCursor: string | null }> {
  const wanted = options.limit ?? Number.POSITIVE_INFINITY;
  const devices: DeviceView[] = [];
  let cursor: string | null = options.cursor ?? null;
  do {
    const page: { devices: DeviceView[]; nextCursor: string | null } = await ctx.connect().client.call({
      method: 'GET',
      path: ['devices'],
      query: { limit: Math.min(wanted - devices.length, PAGE_SIZE.max), cursor: cursor ?? undefined },
      answer: deviceListSchema,
      timeoutMs: ctx.globals.timeout,
    });
    devices.push(...page.devices);
    cursor = page.nextCursor;
  } while (cursor !== null && devices.length < wanted);
  return { devices, nextCursor: cursor };
}
