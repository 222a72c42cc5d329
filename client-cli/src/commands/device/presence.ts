import type { DeviceView } from '@postern/protocol';
import type { Cell } from '../../output.js';

type Presence = DeviceView['presence'];

export function stateCell({ connected, lastSeenAt }: Presence): Cell {
  if (connected) return { text: 'connected', colour: 'green' };
  return lastSeenAt === null ? { text: 'never seen', colour: 'dim' } : { text: 'away', colour: 'yellow' };
}

/** `now`, or how long ago in the largest unit that fits. */
export function lastSeen(presence: Presence, now: number): string {
  if (presence.connected) return 'now';
  if (presence.lastSeenAt === null) return '-';
  const seconds = Math.max(0, Math.round((now - Date.parse(presence.lastSeenAt)) / 1000));
  for (const [unit, length] of [
    ['d', 86_400],
    ['h', 3_600],
    ['min', 60],
  ] as const)
    if (seconds >= length) return `${Math.floor(seconds / length)} ${unit} ago`;
  return `${seconds} s ago`;
}

export const transportText = ({ transport, protocol }: Presence): string =>
  transport === null ? '-' : `${transport}${protocol === null ? '' : ` (protocol ${protocol})`}`;
