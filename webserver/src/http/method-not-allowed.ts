import { ExpectedError } from '../domain/errors.js';

/** Thrown where a path is served, but not by this HTTP method; `allow` names those that are (RFC 9110 15.5.6). */
export class MethodNotAllowedError extends ExpectedError {
  constructor(readonly allow: string) {
    super('METHOD_NOT_ALLOWED', { detail: `This resource knows ${allow}.` });
    this.name = 'MethodNotAllowedError';
  }
}
