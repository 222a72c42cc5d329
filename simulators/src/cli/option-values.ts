import { InvalidArgumentError } from 'commander';
import { GARBAGE_KINDS, faultsSchema, type Faults, type GarbageKind } from '../device/faults.js';
import type { Range } from '../device/random.js';

/** A whole number within bounds. @throws InvalidArgumentError saying what would be right */
export const wholeNumber =
  (min: number, max: number) =>
  (text: string): number => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < min || value > max) {
      throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`);
    }
    return value;
  };

export function probability(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !(value >= 0 && value <= 1)) {
    throw new InvalidArgumentError('It must be a probability from 0 to 1, such as 0.1.');
  }
  return value;
}

/** `100` or `50-200`. */
export function millisecondRange(text: string): Range {
  const match = /^(\d{1,6})(?:-(\d{1,6}))?$/.exec(text);
  const range = match && { min: Number(match[1]), max: Number(match[2] ?? match[1]) };
  if (!range || !faultsSchema.shape.delayMs.safeParse(range).success) {
    throw new InvalidArgumentError('It must be milliseconds such as 100, or a range such as 50-200.');
  }
  return range;
}

export function garbageKinds(text: string): GarbageKind[] {
  const kinds = text.split(',');
  const bad = kinds.find((kind) => !GARBAGE_KINDS.includes(kind as GarbageKind));
  if (bad !== undefined) {
    throw new InvalidArgumentError(`"${bad}" is none of ${GARBAGE_KINDS.join(', ')}.`);
  }
  return kinds as GarbageKind[];
}

export interface FaultOptionValues {
  delay?: Range;
  silence?: number;
  duplicate?: number;
  duplicateDelay?: Range;
  garbage?: number;
  garbageKinds?: GarbageKind[];
  disconnectEvery?: number;
}

/** The faults that the options name; the others stay as they are by default (none). */
export function faultsFrom(values: FaultOptionValues): Partial<Faults> {
  const faults: Partial<Faults> = {};
  if (values.delay) faults.delayMs = values.delay;
  if (values.silence !== undefined) faults.silence = values.silence;
  if (values.duplicate !== undefined) faults.duplicate = values.duplicate;
  if (values.duplicateDelay) faults.duplicateDelayMs = values.duplicateDelay;
  if (values.garbage !== undefined) faults.garbage = values.garbage;
  if (values.garbageKinds) faults.garbageKinds = values.garbageKinds;
  if (values.disconnectEvery !== undefined) faults.disconnectMeanMs = values.disconnectEvery;
  return faults;
}
