import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import { ExpectedError } from './errors.js';

export interface PasswordHasher {
  hash(password: string): Promise<string>;
  /** False for a wrong password, and for `encoded` null (no such user) after the same work. */
  verify(password: string, encoded: string | null): Promise<boolean>;
}

export interface ScryptOptions {
  /** log2 of scrypt's N. 17 is OWASP's first choice for p = 1: 128 MiB and some 0.4 s for each guess. */
  readonly logN?: number;
  /** Hashes at once. Each takes a thread of libuv's four and 128 MiB: two leave half of the pool to others. */
  readonly concurrency?: number;
  /** Hashes that may wait. More is an attack: refused at once instead of answered in a minute. */
  readonly maxWaiting?: number;
}

export const SCRYPT = { logN: 17, r: 8, p: 1, saltBytes: 16, hashBytes: 32 } as const;
const LOG_N = { min: 10, max: 20 } as const;
const ENCODED = /^\$scrypt\$ln=(\d{1,2}),r=8,p=1\$([A-Za-z0-9_-]{22})\$([A-Za-z0-9_-]{43})$/;

/** scrypt (RFC 7914) with a self-describing result: `$scrypt$ln=17,r=8,p=1$<salt>$<hash>`, base64url. */
export class ScryptPasswords implements PasswordHasher {
  private readonly logN: number;
  private readonly concurrency: number;
  private readonly maxWaiting: number;
  private running = 0;
  private readonly waiting: (() => void)[] = [];
  private readonly nobody: Buffer = randomBytes(SCRYPT.saltBytes);

  constructor(options: ScryptOptions = {}) {
    this.logN = options.logN ?? SCRYPT.logN;
    this.concurrency = options.concurrency ?? 2;
    this.maxWaiting = options.maxWaiting ?? 100;
    if (this.logN < LOG_N.min || this.logN > LOG_N.max)
      throw new RangeError(`scrypt's cost must be ${LOG_N.min} to ${LOG_N.max}, not ${this.logN}`);
  }

  async hash(password: string): Promise<string> {
    const salt = randomBytes(SCRYPT.saltBytes);
    const hash = await this.derive(password, salt, this.logN);
    return `$scrypt$ln=${this.logN},r=8,p=1$${salt.toString('base64url')}$${hash.toString('base64url')}`;
  }

  async verify(password: string, encoded: string | null): Promise<boolean> {
    if (encoded === null) {
      await this.derive(password, this.nobody, this.logN);
      return false;
    }
    const match = ENCODED.exec(encoded);
    const logN = Number(match?.[1]);
    if (!match || logN < LOG_N.min || logN > LOG_N.max)
      throw new Error('a stored password hash is of no known form');
    const hash = await this.derive(password, Buffer.from(match[2]!, 'base64url'), logN);
    return timingSafeEqual(hash, Buffer.from(match[3]!, 'base64url'));
  }

  private async derive(password: string, salt: Buffer, logN: number): Promise<Buffer> {
    await this.enter();
    try {
      return await new Promise<Buffer>((resolve, reject) => {
        const N = 2 ** logN;
        const options = { N, r: SCRYPT.r, p: SCRYPT.p, maxmem: 256 * N * SCRYPT.r };
        scrypt(password, salt, SCRYPT.hashBytes, options, (error, key) =>
          error ? reject(error) : resolve(key),
        );
      });
    } finally {
      this.leave();
    }
  }

  private enter(): Promise<void> | void {
    if (this.running < this.concurrency) {
      this.running += 1;
      return;
    }
    if (this.waiting.length >= this.maxWaiting)
      throw new ExpectedError('RATE_LIMITED', {
        detail: 'Too many logins are waiting; try again in a few seconds.',
        retryAfterSeconds: 5,
      });
    return new Promise((resolve) => this.waiting.push(resolve));
  }

  /** The place goes to the next one that waits, without being free in between. */
  private leave(): void {
    const next = this.waiting.shift();
    if (next) next();
    else this.running -= 1;
  }
}
