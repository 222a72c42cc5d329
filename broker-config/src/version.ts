import { BrokerConfigError } from './errors.js';

/** A RabbitMQ release, as its plugin folder `rabbit-<version>` names it. */
export interface BrokerVersion {
  readonly major: number;
  readonly minor: number;
  readonly patch: number;
  /** As the broker writes it, e.g. `4.0.5` or `4.1.0-rc.1`. */
  readonly text: string;
}

/** Oldest release that the templates serve: the one of Debian 12. */
export const OLDEST_SUPPORTED_VERSION = '3.10.0';

const VERSION_PATTERN = /^(\d{1,3})\.(\d{1,3})(?:\.(\d{1,3}))?(?:[-+.][0-9A-Za-z.+-]*)?$/;

/** @throws BrokerConfigError `BROKER_CONFIG_INVALID` for a text that is no version. */
export function parseBrokerVersion(text: string): BrokerVersion {
  const match = VERSION_PATTERN.exec(text);
  if (!match) {
    throw new BrokerConfigError(`"${text}" is no RabbitMQ version; a right one looks like 3.13.7 or 4.0.5`);
  }
  return { major: Number(match[1]), minor: Number(match[2]), patch: Number(match[3] ?? 0), text };
}

/** Negative when `a` is older than `b`, positive when it is newer, 0 when both are the same release. */
export function compareVersions(a: BrokerVersion, b: BrokerVersion): number {
  return a.major - b.major || a.minor - b.minor || a.patch - b.patch;
}

/** True when `version` is `release` (such as `3.13`) or newer. */
export function isAtLeast(version: BrokerVersion, release: string): boolean {
  return compareVersions(version, parseBrokerVersion(release)) >= 0;
}
