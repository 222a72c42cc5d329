import { readFileSync } from 'node:fs';
import { HttpConnection, type Answer } from '../http-connection.js';
import {
  closedLoop,
  openLoop,
  type Call,
  type CallOutcome,
  type ClosedLoop,
  type LoadReport,
  type OpenLoop,
} from '../load.js';
import { payloadMaker } from '../payload.js';
import { serve } from '../worker.js';

/** The load generator for what is called over HTTPS: Postern, Node-RED, and a server that does nothing. */

export interface HttpTarget {
  /** One URL for each instance; connections are spread over them. */
  urls: string[];
  caFile: string;
}

/**
 * echo: POST methods/echo, any JSON object; gpio: GET a pin; rtc: PUT the clock; flat-rtc: the seed's POST /set_rtc;
 * show: GET devices/{name}, which asks the store and no device;
 * peer: POST /call/<device id>, as the Node-RED flow and the null server take it.
 */
export type CallKind = 'echo' | 'gpio' | 'rtc' | 'flat-rtc' | 'peer' | 'show';

export interface HttpRun {
  target: HttpTarget;
  kind: CallKind;
  /** Names, for `peer` ids. */
  devices: string[];
  payloadBytes: number;
  accessToken?: string;
  flat?: { username: string; secret: string };
  closed?: ClosedLoop;
  open?: OpenLoop;
  /** Open loop: at most so many calls at once; more wait, and their wait counts. */
  maxConnections?: number;
  /** A new connection for each call, with a full handshake or with the session of the last one. */
  newConnections?: 'full' | 'resumed';
}

const TIMEOUT_MS = 15_000;
const SWEEP_MS = 500;

let counter = 0;
/** The header line; anew in the middle of a run where that outlasts a token. */
let bearer = '';
const bearerOf = (accessToken: string | undefined): string =>
  accessToken === undefined ? '' : `Authorization: Bearer ${accessToken}\r\n`;

interface Prepared {
  head: string;
  body: string;
  check: (answer: Answer) => CallOutcome;
}

const outcomeOf = ({ status, body }: Answer): CallOutcome => {
  try {
    return `${status} ${(JSON.parse(body) as { code?: string }).code ?? ''}`.trim();
  } catch {
    return String(status);
  }
};

function preparer(run: HttpRun): (index: number) => Prepared {
  const { host } = new URL(run.target.urls[0]!);
  const make = payloadMaker(run.payloadBytes);
  const common = `Host: ${host}\r\nContent-Type: application/json\r\n`;
  bearer = bearerOf(run.accessToken);
  const device = (index: number): string => run.devices[index % run.devices.length]!;
  const same =
    (expected: string) =>
    (answer: Answer): CallOutcome =>
      answer.status !== 200 ? outcomeOf(answer) : answer.body === expected ? 'ok' : 'crossed';
  switch (run.kind) {
    case 'echo':
      return (index) => {
        const body = make(++counter);
        const path = `/api/v1/devices/${device(index)}/methods/echo`;
        return { head: `POST ${path} HTTP/1.1\r\n${common}${bearer}`, body, check: same(body) };
      };
    case 'peer':
      return (index) => {
        const body = make(++counter);
        return { head: `POST /call/${device(index)} HTTP/1.1\r\n${common}`, body, check: same(body) };
      };
    case 'gpio':
      return (index) => {
        const pin = ++counter % 67;
        const head = `GET /api/v1/devices/${device(index)}/gpio/${pin} HTTP/1.1\r\nHost: ${host}\r\n${bearer}`;
        return { head, body: '', check: same(`{"number":${pin},"value":1}`) };
      };
    case 'show':
      return (index) => {
        const name = device(index);
        const head = `GET /api/v1/devices/${name} HTTP/1.1\r\nHost: ${host}\r\n${bearer}`;
        const check = (answer: Answer): CallOutcome => {
          if (answer.status !== 200) return outcomeOf(answer);
          return answer.body.includes(`"name":"${name}"`) ? 'ok' : 'crossed';
        };
        return { head, body: '', check };
      };
    case 'rtc':
      return (index) => {
        const body = `{"value":${++counter}}`;
        const path = `/api/v1/devices/${device(index)}/rtc`;
        return { head: `PUT ${path} HTTP/1.1\r\n${common}${bearer}`, body, check: same(body) };
      };
    case 'flat-rtc':
      return (index) => {
        const value = ++counter;
        const body = JSON.stringify({ ...run.flat, devicename: device(index), value });
        return { head: `POST /set_rtc HTTP/1.1\r\n${common}`, body, check: same(`{"value":${value}}`) };
      };
  }
}

/** Connections that are free; calls beyond `limit` wait for one. */
class Pool {
  readonly #free: HttpConnection[] = [];
  readonly #all: HttpConnection[] = [];
  readonly #queue: ((connection: HttpConnection) => void)[] = [];
  readonly #ca: Buffer;
  readonly #sweep: NodeJS.Timeout;

  constructor(private readonly target: HttpTarget) {
    this.#ca = readFileSync(target.caFile);
    this.#sweep = setInterval(() => {
      for (const connection of this.#all) connection.cutIfOverdue(TIMEOUT_MS);
    }, SWEEP_MS);
  }

  async open(count: number): Promise<void> {
    const { urls } = this.target;
    for (let index = 0; index < count; index++) {
      const url = new URL(urls[index % urls.length]!);
      this.#all.push(new HttpConnection({ host: url.hostname, port: Number(url.port), ca: this.#ca }));
    }
    // Some at a time: a handshake costs the server a signature.
    for (let index = 0; index < count; index += 16)
      await Promise.all(this.#all.slice(index, index + 16).map((connection) => connection.open()));
    this.#free.push(...this.#all);
  }

  async take(): Promise<HttpConnection> {
    return this.#free.pop() ?? new Promise((resolve) => this.#queue.push(resolve));
  }

  giveBack(connection: HttpConnection): void {
    const next = this.#queue.shift();
    if (next) next(connection);
    else this.#free.push(connection);
  }

  close(): void {
    clearInterval(this.#sweep);
    for (const connection of this.#all) connection.close();
  }
}

async function run(options: HttpRun): Promise<LoadReport> {
  const prepare = preparer(options);
  if (options.newConnections) return runWithNewConnections(options, prepare);
  const pool = new Pool(options.target);
  await pool.open(options.closed?.inFlight ?? options.maxConnections ?? 256);
  const call: Call = async (index) => {
    const connection = await pool.take();
    const { head, body, check } = prepare(index);
    try {
      return check(await connection.request(head, body));
    } catch (error) {
      return (error as Error).message;
    } finally {
      pool.giveBack(connection);
    }
  };
  try {
    return options.open ? await openLoop(options.open, call) : await closedLoop(options.closed!, call);
  } finally {
    pool.close();
  }
}

function runWithNewConnections(options: HttpRun, prepare: (index: number) => Prepared): Promise<LoadReport> {
  const ca = readFileSync(options.target.caFile);
  let session: Buffer | undefined;
  const onSession = (given: Buffer): void => void (session = given);
  return closedLoop(options.closed!, async (index) => {
    const url = new URL(options.target.urls[index % options.target.urls.length]!);
    const connection = new HttpConnection({
      host: url.hostname,
      port: Number(url.port),
      ca,
      ...(options.newConnections === 'resumed' && { session, onSession }),
    });
    const { head, body, check } = prepare(index);
    try {
      return check(await connection.request(head, body));
    } catch (error) {
      return (error as Error).message;
    } finally {
      connection.close();
    }
  });
}

export interface RegisterRun {
  target: HttpTarget;
  accessToken: string;
  names: string[];
  inFlight: number;
  keyType?: 'ec-p256' | 'rsa-2048';
  /** PEM; one for all. */
  csr?: string;
}

export interface RegisterReport {
  perSecond: number;
  seconds: number;
  failures: Record<string, number>;
  /** What the gateway answered, in the order of the names. */
  issued: unknown[];
}

async function register(options: RegisterRun): Promise<RegisterReport> {
  const { names, keyType, csr } = options;
  const pool = new Pool(options.target);
  await pool.open(options.inFlight);
  const { host } = new URL(options.target.urls[0]!);
  const head = `POST /api/v1/devices HTTP/1.1\r\nHost: ${host}\r\nContent-Type: application/json\r\nAuthorization: Bearer ${options.accessToken}\r\n`;
  const issued: unknown[] = new Array(names.length);
  const failures: Record<string, number> = {};
  let next = 0;
  const startedAt = performance.now();
  const caller = async (): Promise<void> => {
    while (next < names.length) {
      const index = next++;
      const connection = await pool.take();
      const body = JSON.stringify({ name: names[index], ...(keyType && { keyType }), ...(csr && { csr }) });
      const failed = await connection.request(head, body).then(
        (answer) => {
          if (answer.status !== 201) return outcomeOf(answer);
          issued[index] = JSON.parse(answer.body);
          return null;
        },
        (error: Error) => error.message,
      );
      if (failed !== null) failures[failed] = (failures[failed] ?? 0) + 1;
      pool.giveBack(connection);
    }
  };
  await Promise.all(Array.from({ length: options.inFlight }, caller));
  const seconds = (performance.now() - startedAt) / 1000;
  pool.close();
  return { perSecond: names.length / seconds, seconds, failures, issued };
}

serve({
  run,
  register,
  token: ({ accessToken }: { accessToken: string }) => void (bearer = bearerOf(accessToken)),
});
