/**
 * The limits that both ends of the wire must agree on. Each has a unit, a value and the reason for it.
 */

/** Highest pin number, inclusive. An FT900 has GPIO 0 to 66. */
export const MAX_PIN = 66;

/** Largest RTC value: epoch seconds in 32 bits unsigned, which is what the seed's devices store (year 2106). */
export const MAX_EPOCH_SECONDS = 0xffff_ffff;

/** UART data per call, in bytes after decoding. Fits an FT900's UART buffer and one MQTT packet of lwIP. */
export const MAX_UART_BYTES = 1024;

/** A device's reply, in bytes. Stops a device from filling the gateway's memory. */
export const MAX_REPLY_BYTES = 64 * 1024;

/** An HTTP request body, in bytes. */
export const MAX_BODY_BYTES = 64 * 1024;

/** Correlation ids that a device must be able to hold, in characters of `[A-Za-z0-9_-]`. */
export const MAX_CORRELATION_ID_LENGTH = 64;

/** How long a caller may wait for a device, in milliseconds. */
export const TIMEOUT_MS = { min: 100, max: 300_000, default: 5_000 } as const;

/** Calls to one device that may be in flight or waiting. Stops one device from holding all of the gateway. */
export const MAX_CALLS_PER_DEVICE = 32;

/** Devices in one page of a list. */
export const PAGE_SIZE = { min: 1, max: 200, default: 50 } as const;

/** Password length in characters. The upper bound keeps the password hash from being a way to burn CPU. */
export const PASSWORD_LENGTH = { min: 8, max: 128 } as const;

/** Methods that a hello may list, and the length of each of its strings: bounds what a device makes us store. */
export const HELLO_LIMITS = { methods: 64, methodLength: 64, textLength: 128 } as const;
