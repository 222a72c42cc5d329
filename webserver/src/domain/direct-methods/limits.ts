import { MAX_CALLS_PER_DEVICE } from '@postern/protocol';

/** Limits of direct methods. Each can be set for tests; the defaults are what runs. */
export interface DirectMethodLimits {
  /** Calls to one device that may be in flight or waiting, in this instance and at the owner: keeps one device from holding all memory. */
  readonly callsPerDevice: number;
  /** Calls of this instance in all: bounds memory when many devices are slow. */
  readonly callsInAll: number;
  /** How long a call waits for the news that a device has just connected: broker events come some ms after the fact. */
  readonly presenceLagMs: number;
  /** How long after its connect a device may still be subscribing, and how often a returned call is sent again meanwhile. */
  readonly subscribeLagMs: number;
  readonly subscribeRetryMs: number;
  /** How long after its call's end the answer of a device without correlation is still reckoned with. */
  readonly lateReplyMs: number;
  /** The same once the device has connected anew: what it still sends was queued in its client. */
  readonly lateReplyAfterReconnectMs: number;
  /** After a doubtful spell: how long to listen for a second answer before the first is believed. */
  readonly settleMs: number;
  /** The longest spell of quiet that a device known to repeat itself is given between two calls that look alike. */
  readonly repeatQuietMs: number;
  /** Devices without correlation that one instance owns at a time; the least recently used idle one is released. */
  readonly ownedDevices: number;
  /** How long an idle device stays owned. */
  readonly ownedIdleMs: number;
}

export const DIRECT_METHOD_LIMITS: DirectMethodLimits = {
  callsPerDevice: MAX_CALLS_PER_DEVICE,
  callsInAll: 20_000,
  presenceLagMs: 40,
  subscribeLagMs: 2_000,
  subscribeRetryMs: 20,
  lateReplyMs: 60_000,
  lateReplyAfterReconnectMs: 5_000,
  settleMs: 60,
  repeatQuietMs: 1_000,
  ownedDevices: 2_000,
  ownedIdleMs: 300_000,
};
