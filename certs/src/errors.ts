/**
 * What the caller or the operator can put right: a bad request, a damaged file. Anything else that is thrown
 * here is a bug. `code` is stable; the message is for people and names the file or field and what to do.
 */
export abstract class CertsError extends Error {
  abstract readonly code: string;

  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}
