import { isIPv6 } from 'node:net';
import type { Certificates } from './certificates.js';
import type { PortName, Settings } from './settings.js';

export interface StackSecrets {
  /** Encrypts the CA's private keys. */
  readonly keyFile: string;
  /** Signs access tokens. */
  readonly tokenKeyFile: string;
  /** Of the gateway, on the broker's management API. */
  readonly managementPasswordFile: string;
}

/** What a gateway is told beside what the person at the terminal has set. */
export interface GatewaySettings {
  readonly settings: Settings;
  readonly dataDir: string;
  /** Where the broker reads revocations, and the gateway writes them. */
  readonly crlDir: string;
  readonly certificates: Certificates;
  readonly secrets: StackSecrets;
  readonly ports: Readonly<Record<PortName, number>>;
  /** Of this gateway; that of `ports` is the first one's. */
  readonly httpsPort: number;
  readonly brokerAuthPort: number;
  readonly managementUrl: string;
}

/** The URL that clients are told; leaves name it for their CRL. */
export function publicUrl(settings: Settings, port: number): string {
  const [name = reachableName(settings)] = settings.hostNames;
  return `https://${isIPv6(name) ? `[${name}]` : name}:${port}`;
}

/** How this machine reaches what listens there: an address for all interfaces is none to connect to. */
export function reachableName({ bindAddress }: Settings): string {
  return ['0.0.0.0', '::', '127.0.0.1', '::1'].includes(bindAddress) ? 'localhost' : bindAddress;
}

/** The URL of the CRL that leaves name (RFC 5280 4.2.1.13); the gateway serves it there. */
export const crlUrl = (settings: Settings, port: number): string =>
  `${publicUrl(settings, port)}/ca/issuing.crl`;

/** The environment of a gateway process: what the person has set stays, unless it is this room's to say. */
export function gatewayEnvironment(options: GatewaySettings, base: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const { settings, certificates, ports, secrets } = options;
  return {
    POSTERN_PUBLIC_URL: publicUrl(settings, options.httpsPort),
    ...base,
    POSTERN_DATA_DIR: options.dataDir,
    POSTERN_HTTPS_HOST: settings.bindAddress,
    POSTERN_HTTPS_PORT: String(options.httpsPort),
    POSTERN_HTTPS_CERT_FILE: base['POSTERN_HTTPS_CERT_FILE'] ?? certificates.https.certFile,
    POSTERN_HTTPS_KEY_FILE: base['POSTERN_HTTPS_KEY_FILE'] ?? certificates.https.keyFile,
    POSTERN_AMQPS_HOST: reachableName(settings),
    POSTERN_AMQPS_PORT: String(ports.amqps),
    POSTERN_MQTTS_PORT: String(ports.mqtts),
    POSTERN_AMQPS_CERT_FILE: certificates.gateway.certFile,
    POSTERN_AMQPS_KEY_FILE: certificates.gateway.keyFile,
    POSTERN_CRL_DIR: options.crlDir,
    POSTERN_BROKER_AUTH_PORT: String(options.brokerAuthPort),
    POSTERN_BROKER_AUTH_CERT_FILE: certificates.brokerAuth.certFile,
    POSTERN_BROKER_AUTH_KEY_FILE: certificates.brokerAuth.keyFile,
    POSTERN_MANAGEMENT_URL: options.managementUrl,
    POSTERN_MANAGEMENT_PASSWORD_FILE: secrets.managementPasswordFile,
    POSTERN_KEY_FILE: secrets.keyFile,
    POSTERN_TOKEN_KEY_FILE: secrets.tokenKeyFile,
  };
}
