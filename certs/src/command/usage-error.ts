import { CertsError } from '../errors.js';

/** The command was called in a way that it does not offer. */
export class UsageError extends CertsError {
  readonly code = 'USAGE';
}
