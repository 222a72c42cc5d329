import { createHash } from 'node:crypto';
import { MAX_EPOCH_SECONDS, MAX_PIN } from '@postern/protocol';

/** Milliseconds since the epoch, as `Date.now`. Injected so that tests own the time. */
export type Now = () => number;

export interface NetworkSettings {
  ip: string;
  subnet: string;
  gateway: string;
}

/** RFC 5737 addresses: a simulated device has no network of its own to tell about. */
export const DEFAULT_NETWORK: NetworkSettings = {
  ip: '192.0.2.10',
  subnet: '255.255.255.0',
  gateway: '192.0.2.1',
};

/** A locally administered address made from the device id, so that each device of a fleet has its own. */
export function defaultMac(deviceId: string): string {
  const bytes = createHash('sha256').update(deviceId).digest().subarray(0, 3);
  return ['02', '00', '00', ...[...bytes].map((byte) => byte.toString(16).padStart(2, '0'))].join(':');
}

export const normalMac = (mac: string): string => mac.toLowerCase().replaceAll('-', ':');

/** What an FT900 remembers: its pins, its clock and its addresses. */
export class Ft900State {
  readonly #now: Now;
  readonly #pins = new Uint8Array(MAX_PIN + 1);
  /** RTC milliseconds minus host milliseconds. */
  #rtcOffsetMs = 0;
  #restarts = 0;
  mac: string;
  network: NetworkSettings;

  constructor({ now, mac, network }: { now: Now; mac: string; network: NetworkSettings }) {
    this.#now = now;
    this.mac = normalMac(mac);
    this.network = network;
  }

  getPin(pin: number): number {
    return this.#pins[pin]!;
  }

  setPin(pin: number, value: number): void {
    this.#pins[pin] = value;
  }

  /** Pins that are 1, lowest first. */
  highPins(): number[] {
    return [...this.#pins.keys()].filter((pin) => this.#pins[pin] === 1);
  }

  /** Epoch seconds in 32 bits unsigned; the counter wraps, as the hardware's does. */
  get rtc(): number {
    const seconds = Math.floor((this.#now() + this.#rtcOffsetMs) / 1000);
    const span = MAX_EPOCH_SECONDS + 1;
    return ((seconds % span) + span) % span;
  }

  set rtc(epochSeconds: number) {
    this.#rtcOffsetMs = epochSeconds * 1000 - this.#now();
  }

  get restarts(): number {
    return this.#restarts;
  }

  /**
   * A chip reset: the GPIO block comes up as inputs, which read 0. The RTC has a supply of its own and runs on;
   * the MAC lies in non-volatile memory and stays.
   */
  restart(): void {
    this.#pins.fill(0);
    this.#restarts += 1;
  }
}
