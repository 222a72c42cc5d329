import { readFileSync } from 'node:fs';
import {
  resolveBrokerConfig,
  type BrokerConfigOptions,
  type ResolvedBrokerConfig,
} from './config-options.js';
import { erlangString, renderTemplate, type TemplateInput } from './template.js';
import { isAtLeast, OLDEST_SUPPORTED_VERSION, parseBrokerVersion } from './version.js';
import { BrokerConfigError } from './errors.js';

/** Files that {@link renderBrokerConfig} makes; all go into one folder, `configDir`. */
export const BROKER_CONFIG_FILES = [
  'rabbitmq.conf',
  'advanced.config',
  'enabled_plugins',
  'definitions.json',
] as const;
export type BrokerConfigFile = (typeof BROKER_CONFIG_FILES)[number];

export interface RenderedBrokerConfig {
  readonly files: Readonly<Record<BrokerConfigFile, string>>;
  /** The options with their defaults filled in. */
  readonly resolved: ResolvedBrokerConfig;
}

const TEMPLATES = new URL('../templates/', import.meta.url);

/** rabbitmq.conf has no quoting: what cannot be written there as it is, is refused. */
function confPath(path: string): string {
  if (!/^[^#'"\s\\$]+(?: [^#'"\s\\$]+)*$/.test(path)) {
    throw new BrokerConfigError(
      `configDir: "${path}" cannot be written in rabbitmq.conf; choose a folder without # ' " \\ $ in its name`,
    );
  }
  return path;
}

/** `address:port` as rabbitmq.conf wants it. */
const listener = (at: { address: string; port: number }): string => `${at.address}:${at.port}`;

/**
 * The configuration of a node, as texts.
 *
 * @param options what the node serves, and with which certificates; {@link BrokerConfigOptions}
 * @param configDir folder, absolute, into which the caller writes the files
 * @throws BrokerConfigError for an option that is wrong, or a release older than {@link OLDEST_SUPPORTED_VERSION}
 */
export function renderBrokerConfig(options: BrokerConfigOptions, configDir: string): RenderedBrokerConfig {
  const config = resolveBrokerConfig(options);
  const version = parseBrokerVersion(config.version);
  if (!isAtLeast(version, OLDEST_SUPPORTED_VERSION)) {
    throw new BrokerConfigError(
      `RabbitMQ ${version.text} is older than ${OLDEST_SUPPORTED_VERSION}, the oldest that Postern knows`,
    );
  }
  const { tls, authBackend, limits } = config;
  const authHost = new URL(authBackend.url).hostname;
  // Erlang 25 takes a server name for a DNS name, never for an address.
  const authServerName = authHost === '127.0.0.1' || authHost === '[::1]' ? 'localhost' : authHost;
  const input: TemplateInput = {
    version,
    flags: { crl: tls.crlDir !== undefined },
    values: {
      ...limits,
      sessionExpiryMs: limits.sessionExpirySeconds * 1000,
      maxQueueBytes: limits.maxMessageBytes * 32,
      amqpsListener: listener(config.amqps),
      mqttsListener: listener(config.mqtts),
      managementPort: config.management.port,
      authUrl: authBackend.url,
      authCacheTtlMs: authBackend.cacheTtlMs,
      authTimeoutMs: authBackend.timeoutMs,
      definitionsFile: confPath(`${configDir}/definitions.json`),
      caFile: erlangString(tls.caFile),
      certFile: erlangString(tls.certFile),
      keyFile: erlangString(tls.keyFile),
      crlDir: erlangString(tls.crlDir ?? ''),
      authCaFile: erlangString(authBackend.tls.caFile),
      authCertFile: erlangString(authBackend.tls.certFile),
      authKeyFile: erlangString(authBackend.tls.keyFile),
      authServerName: erlangString(authBackend.tls.serverName ?? authServerName),
    },
  };
  const render = (name: BrokerConfigFile): string =>
    renderTemplate(readFileSync(new URL(`${name}.template`, TEMPLATES), 'utf8'), input);
  return {
    resolved: config,
    files: {
      'rabbitmq.conf': render('rabbitmq.conf'),
      'advanced.config': render('advanced.config'),
      enabled_plugins: render('enabled_plugins'),
      'definitions.json': render('definitions.json'),
    },
  };
}
