import type { PresenceStore } from '../../domain/store.js';
import { RELAXED } from './collections.js';
import type { MongoContext } from './context.js';
import { toPresence } from './documents.js';
import { duplicateIndex } from './failures.js';
import { untilUncontended } from './retry.js';

export function presenceStore({ presence, run }: MongoContext): PresenceStore {
  return {
    savePresence: (records) =>
      run(async () => {
        // The last of each device, since the order within an unordered bulk is not ours.
        const last = new Map(records.map((record) => [record.deviceId, record]));
        if (last.size === 0) return;
        const operations = [...last.values()].map(({ deviceId, methods, ...rest }) => ({
          replaceOne: {
            filter: { _id: deviceId },
            replacement: { ...rest, methods: methods && [...methods] },
            upsert: true,
          },
        }));
        await untilUncontended(async () => {
          try {
            await presence.bulkWrite(operations, { ordered: false, ...RELAXED });
            return { value: undefined };
          } catch (error) {
            // Two were first with one device at once; a replacement is safe to repeat.
            if (duplicateIndex(error) !== null) return null;
            throw error;
          }
        });
      }),
    findPresence: (deviceId) =>
      run(async () => {
        const document = await presence.findOne({ _id: deviceId });
        return document && toPresence(document);
      }),
    findPresences: (deviceIds) =>
      run(async () =>
        deviceIds.length === 0
          ? []
          : (await presence.find({ _id: { $in: [...deviceIds] } }).toArray()).map(toPresence),
      ),
    listConnected: () =>
      run(async () => (await presence.find({ connected: true }).toArray()).map(toPresence)),
  };
}
