import { z } from 'zod';
import { isDeviceId } from '@postern/protocol';
import type { SessionCloser } from '../domain/ports.js';
import type { DeviceConnection } from '../domain/presence.js';
import { peerAddress, transportName, trapOf } from './events.js';

const REQUEST_TIMEOUT_MS = 10_000;

const connections = z.array(
  z.looseObject({
    name: z.string(),
    user: z.string().optional(),
    protocol: z.string().optional(),
    peer_host: z.string().optional(),
  }),
);
const queues = z.array(z.looseObject({ name: z.string(), arguments: z.unknown() }));

export interface ManagementOptions {
  /** `http://127.0.0.1:15672` or an https URL; no user in it. */
  readonly url: string;
  readonly username: string;
  readonly password: string;
}

/** The broker's management API did not do as asked. */
export class ManagementError extends Error {
  readonly code = 'BROKER_MANAGEMENT_FAILED';
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'ManagementError';
  }
}

/** RabbitMQ's management API, for what AMQP cannot do: list connections and close them. */
export class ManagementClient implements SessionCloser {
  private readonly authorization: string;

  constructor(private readonly options: ManagementOptions) {
    this.authorization = `Basic ${Buffer.from(`${options.username}:${options.password}`).toString('base64')}`;
  }

  /** All connections of devices. */
  async listDeviceConnections(): Promise<DeviceConnection[]> {
    const found: DeviceConnection[] = [];
    for (const item of await this.list('/api/connections', 'name,user,protocol,peer_host', connections)) {
      if (item.user === undefined || !isDeviceId(item.user)) continue;
      found.push({
        deviceId: item.user,
        connection: item.name,
        address: peerAddress(item.peer_host, item.name),
        transport: transportName(item.protocol),
      });
    }
    return found;
  }

  /** Device queues that dead-letter. */
  async listTraps(): Promise<{ deviceId: string; queue: string }[]> {
    const found = [];
    for (const item of await this.list('/api/queues/%2F', 'name,arguments', queues)) {
      const trap = trapOf(item.name, item.arguments);
      if (trap) found.push(trap);
    }
    return found;
  }

  /**
   * The whole list at once: for each page the broker would put all of it together, and calls wait meanwhile (5,000
   * connections: 0.2 s for the list as for a page of it). Its limit of connections bounds it, to some MB.
   */
  private async list<T>(path: string, columns: string, schema: z.ZodType<T[]>): Promise<T[]> {
    return schema.parse(await (await this.request('GET', `${path}?columns=${columns}`)).json());
  }

  async closeSessions(deviceId: string): Promise<void> {
    await this.request('DELETE', `/api/connections/username/${encodeURIComponent(deviceId)}`, [404]);
  }

  private async request(method: string, path: string, alsoFine: readonly number[] = []): Promise<Response> {
    let response: Response;
    try {
      response = await fetch(new URL(path, this.options.url), {
        method,
        headers: { authorization: this.authorization, 'x-reason': 'rights have ended' },
        signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
      });
    } catch (error) {
      throw new ManagementError(`The broker's management API at ${this.options.url} cannot be reached.`, {
        cause: error,
      });
    }
    if (response.ok || alsoFine.includes(response.status)) return response;
    throw new ManagementError(
      `The broker's management API answered ${response.status} to ${method} ${path.split('?')[0]}.`,
    );
  }
}
