import { MAX_BODY_BYTES, type JsonObject } from '@postern/protocol';
import { ExpectedError } from './errors.js';

/** Levels of a JSON object that is passed on as it is. Deeper ones overflow the stack of small JSON parsers, devices' above all. */
export const MAX_JSON_DEPTH = 32;

const invalid = (path: string, message: string): ExpectedError =>
  new ExpectedError('VALIDATION_FAILED', { detail: `${path} ${message}.`, errors: [{ path, message }] });

/** Refuses what no device should get: too deep, or too large once written. */
export function assertPlainJson(value: JsonObject, path: string): void {
  let level: object[] = [value];
  for (let depth = 1; level.length > 0; depth += 1) {
    if (depth > MAX_JSON_DEPTH) throw invalid(path, `must be at most ${MAX_JSON_DEPTH} levels deep`);
    const next: object[] = [];
    for (const object of level) {
      for (const item of Object.values(object))
        if (typeof item === 'object' && item !== null) next.push(item as object);
    }
    level = next;
  }
  // A short number such as 1e20 may be written out longer than it came.
  if (Buffer.byteLength(JSON.stringify(value)) > MAX_BODY_BYTES)
    throw invalid(path, `must be at most ${MAX_BODY_BYTES} bytes once written as JSON`);
}
