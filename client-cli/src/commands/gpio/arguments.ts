import { MAX_PIN, pinSchema } from '@postern/protocol';
import { UsageError } from '../../errors.js';

export function pinArgument(text: string): number {
  const pin = pinSchema.safeParse(/^\d{1,3}$/.test(text) ? Number(text) : Number.NaN);
  if (!pin.success) throw new UsageError(`"${text}" is not a pin; it must be 0 to ${MAX_PIN}.`);
  return pin.data;
}

export function pinValueArgument(text: string): 0 | 1 {
  if (text !== '0' && text !== '1')
    throw new UsageError(`"${text}" is not the value of a pin; it must be 0 or 1.`);
  return text === '1' ? 1 : 0;
}
