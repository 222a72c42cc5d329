import { createHash, timingSafeEqual } from 'node:crypto';
import { EXCHANGE, GATEWAY_COMMON_NAME, isDeviceId } from '@postern/protocol';
import type { Clock } from './ports.js';
import { systemClock } from './ports.js';
import type { DeviceStore } from './store.js';

/**
 * Who may do what on the broker (design decision 3). The broker asks; whatever is not expressly allowed is denied.
 *
 * A broker of the 3.10 kind tells a certificate login by the absence of a password; from 3.13 on such a login comes
 * with the password `none`, which then must not be taken from anybody who could have typed it.
 */
export type AccessDialect = 'without-password' | 'password-none';

export interface UserQuestion {
  readonly username: string;
  /** Undefined where the broker sent none. */
  readonly password?: string;
  /** The MQTT client id, where the broker sends it; AMQP has none. */
  readonly clientId?: string;
}
export interface VhostQuestion {
  readonly username: string;
  readonly vhost: string;
  readonly clientId?: string;
}
export interface ResourceQuestion {
  readonly username: string;
  readonly vhost: string;
  readonly resource: string;
  readonly name: string;
  readonly permission: string;
}
export interface TopicQuestion extends ResourceQuestion {
  readonly routingKey: string;
}

/** The gateway's user on the broker's management API. It has no virtual host, so that it can open no session. */
export const MANAGEMENT_USERNAME = 'postern-management';

/** The broker's answer at a login: which rights on the management API come with it. */
export type UserAnswer = 'deny' | 'allow' | 'allow administrator';

/** The one virtual host. */
const VHOST = '/';

/** A device's MQTT password is 256 random bits, so that a plain hash is as good as a slow one. */
export const hashDevicePassword = (password: string): string =>
  createHash('sha256').update(password, 'utf8').digest('hex');

const sameHash = (a: string, b: string): boolean =>
  a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b));

export interface DeviceAccessOptions {
  readonly devices: Pick<DeviceStore, 'findDeviceById' | 'hasValidCertificate'>;
  /** Password of {@link MANAGEMENT_USERNAME}; without one nobody can use the management API. */
  readonly managementPassword?: string;
  readonly clock?: Clock;
}

export class DeviceAccess {
  private readonly devices: DeviceAccessOptions['devices'];
  private readonly managementHash: string | null;
  private readonly clock: Clock;

  constructor(options: DeviceAccessOptions) {
    this.devices = options.devices;
    this.managementHash = options.managementPassword ? hashDevicePassword(options.managementPassword) : null;
    this.clock = options.clock ?? systemClock;
  }

  /** May this user log in? TLS has already proven the certificate, and the broker has taken the name from it. */
  async user(question: UserQuestion, dialect: AccessDialect): Promise<UserAnswer> {
    const { username, password, clientId } = question;
    if (username === MANAGEMENT_USERNAME) {
      const known = password !== undefined && clientId === undefined && this.managementHash !== null;
      return known && sameHash(this.managementHash, hashDevicePassword(password))
        ? 'allow administrator'
        : 'deny';
    }
    const byCertificate = password === undefined || (dialect === 'password-none' && password === 'none');
    if (username === GATEWAY_COMMON_NAME) return byCertificate && clientId === undefined ? 'allow' : 'deny';
    return (await this.device(question, byCertificate)) ? 'allow' : 'deny';
  }

  private async device(
    { username, password, clientId }: UserQuestion,
    byCertificate: boolean,
  ): Promise<boolean> {
    if (!isDeviceId(username)) return false;
    if (clientId !== undefined && clientId !== username) return false;
    if (!(await this.devices.hasValidCertificate(username, this.clock.now()))) return false;
    if (byCertificate) return true;
    const device = await this.devices.findDeviceById(username);
    return device?.passwordHash != null && sameHash(device.passwordHash, hashDevicePassword(password!));
  }

  vhost(question: VhostQuestion): boolean {
    const { username, vhost, clientId } = question;
    if (vhost !== VHOST) return false;
    if (username === GATEWAY_COMMON_NAME) return clientId === undefined;
    return isDeviceId(username) && (clientId === undefined || clientId === username);
  }

  /** A device has its own subscription queues and the topic exchange; what it may say and hear there is {@link topic}. */
  resource(question: ResourceQuestion): boolean {
    const { username, vhost, resource, name, permission } = question;
    if (vhost !== VHOST) return false;
    if (username === GATEWAY_COMMON_NAME) return true;
    if (!isDeviceId(username)) return false;
    if (resource === 'queue')
      return name === `mqtt-subscription-${username}qos0` || name === `mqtt-subscription-${username}qos1`;
    // `configure`: AMQP devices of the seed's kind declare the exchange as it is.
    if (resource === 'exchange')
      return name === EXCHANGE && ['configure', 'write', 'read'].includes(permission);
    return false;
  }

  topic(question: TopicQuestion): boolean {
    const { username, name, permission, routingKey } = question;
    if (username === GATEWAY_COMMON_NAME) return question.vhost === VHOST;
    if (!this.resource({ ...question, resource: 'exchange' }) || name !== EXCHANGE) return false;
    if (permission === 'write') return routingKey.startsWith(`server.${username}.`);
    if (permission === 'read') return routingKey.startsWith(`${username}.`);
    return false;
  }
}
