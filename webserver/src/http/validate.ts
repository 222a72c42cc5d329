import type { z } from 'zod';
import { ExpectedError } from '../domain/errors.js';

/** Fields that one answer complains of. */
const MAX_ISSUES = 20;

/** The value as its schema makes it, or VALIDATION_FAILED with an entry for each field, `path` such as `body.value`. */
export function validate<T extends z.ZodType>(
  schema: T,
  value: unknown,
  where: 'path' | 'query' | 'body',
): z.output<T> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const errors = flatten(result.error.issues, [where]).slice(0, MAX_ISSUES);
  throw new ExpectedError('VALIDATION_FAILED', {
    detail: `${errors.map(({ path, message }) => `${path}: ${message}`).join('; ')}.`,
    errors,
  });
}

type Issue = z.core.$ZodIssue;

function flatten(issues: readonly Issue[], prefix: PropertyKey[]): { path: string; message: string }[] {
  return issues.flatMap((issue) => {
    const path = [...prefix, ...issue.path];
    if (issue.code === 'invalid_union' && issue.errors.length > 0 && issue.message === 'Invalid input') {
      // The branch that fits best tells most.
      const closest = issue.errors.reduce((best, branch) => (branch.length < best.length ? branch : best));
      return flatten(closest, path);
    }
    if (issue.code === 'unrecognized_keys')
      return issue.keys.map((key) => ({
        path: [...path, key.slice(0, 64)].join('.'),
        message: 'is not known here; leave it out',
      }));
    const missing = issue.code === 'invalid_type' && issue.message.endsWith('received undefined');
    return [{ path: path.join('.'), message: missing ? 'is missing' : issue.message }];
  });
}
