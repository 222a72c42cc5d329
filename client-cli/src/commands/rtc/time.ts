import { MAX_EPOCH_SECONDS, epochSecondsSchema } from '@postern/protocol';
import { UsageError } from '../../errors.js';

const FORMS =
  'now, epoch seconds (1561700000), or a time with its zone (2019-06-28T05:33:20Z, 2019-06-28T07:33:20+02:00)';
const ISO = /^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2})$/i;

/** `now` stays as it is, since its value is wanted when the call is made. Other forms become epoch seconds. */
export function timeArgument(text: string): number | 'now' {
  if (text === 'now') return 'now';
  if (/^\d+$/.test(text)) {
    const value = Number(text);
    if (epochSecondsSchema.safeParse(value).success) return value;
    const milliseconds = text.length === 13 ? ' That looks like milliseconds.' : '';
    throw new UsageError(
      `${text} is out of range: epoch seconds are 0 to ${MAX_EPOCH_SECONDS}.${milliseconds}`,
    );
  }
  const value = ISO.test(text) ? Math.floor(Date.parse(text.replace(' ', 'T')) / 1000) : Number.NaN;
  if (Number.isNaN(value)) throw new UsageError(`"${text}" is not a time; it must be ${FORMS}.`);
  if (!epochSecondsSchema.safeParse(value).success)
    throw new UsageError(`${text} is out of range: a device's clock holds 1970 to early 2106.`);
  return value;
}

/** Both forms of a time: for people and for arithmetic. */
export function timeText(epochSeconds: number): string {
  return `${epochSeconds}  ${isoText(epochSeconds)}`;
}

export function isoText(epochSeconds: number): string {
  return new Date(epochSeconds * 1000).toISOString().replace('.000Z', 'Z');
}
