import { createHash } from 'node:crypto';

/** A source of numbers in [0, 1), as `Math.random` is. */
export type Random = () => number;

/**
 * A repeatable source: the same seed and label give the same numbers. The label (a device id) keeps the devices
 * of a fleet from doing the same thing at the same moment. sfc32, seeded by SHA-256; not for secrets.
 */
export function seededRandom(seed: string, label: string): Random {
  const digest = createHash('sha256').update(`${seed}\0${label}`).digest();
  let a = digest.readUInt32LE(0);
  let b = digest.readUInt32LE(4);
  let c = digest.readUInt32LE(8);
  let counter = 1;
  return () => {
    const t = (a + b + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (c << 21) | (c >>> 11);
    c = (c + t) | 0;
    return (t >>> 0) / 0x1_0000_0000;
  };
}

export interface Range {
  min: number;
  max: number;
}

/** A whole number of the range, both ends included. */
export const pickInRange = (random: Random, { min, max }: Range): number =>
  min + Math.floor(random() * (max - min + 1));
