import { SimulatedDevice, type SimulatedDeviceOptions } from './device/simulated-device.js';
import { loadTlsIdentity, type CredentialFiles, type TlsIdentity } from './files/credential-files.js';
import type { Endpoint } from './files/device-folder.js';
import type { BackoffLimits } from './transport/backoff.js';
import { openAmqpSession } from './transport/amqp.js';
import { openMqttSession, type MqttVersion } from './transport/mqtt.js';
import { RunningDevice } from './transport/running-device.js';
import { DEFAULT_KEEP_ALIVE_SECONDS } from './transport/session.js';

interface CommonOptions {
  endpoint: Endpoint;
  /** Behaviour and faults; its `deviceId` is the client id. */
  device: SimulatedDeviceOptions;
  /** Files, or a context that was made from them before. */
  credentials: CredentialFiles | TlsIdentity;
  tls12Only?: boolean;
  keepAliveSeconds?: number;
  backoff?: BackoffLimits;
  restartMs?: number;
  gate?: () => Promise<void>;
  once?: boolean;
}

export interface MqttDeviceOptions extends CommonOptions {
  /** Default 3.1.1. */
  version?: MqttVersion;
  /** Default 0: an acknowledgement would tell the device of a call what only its caller needs to know. */
  replyQos?: 0 | 1;
  username?: string | undefined;
  password?: string | undefined;
  persistentSession?: boolean;
}

export type AmqpDeviceOptions = CommonOptions;

const identityOf = ({ credentials, tls12Only }: CommonOptions): TlsIdentity =>
  'secureContext' in credentials
    ? credentials
    : loadTlsIdentity(credentials, { tls12Only: tls12Only ?? false });

/** Starts a device over MQTTS. Returns at once; listen for `connected`. @throws CredentialFileError */
export function startMqttDevice(options: MqttDeviceOptions): RunningDevice {
  const device = new SimulatedDevice(options.device);
  const identity = identityOf(options);
  return runningDevice(options, device, (onMessage) =>
    openMqttSession({
      deviceId: device.deviceId,
      endpoint: options.endpoint,
      identity,
      keepAliveSeconds: options.keepAliveSeconds ?? DEFAULT_KEEP_ALIVE_SECONDS,
      version: options.version ?? '3.1.1',
      replyQos: options.replyQos ?? 0,
      username: options.username,
      password: options.password,
      persistentSession: options.persistentSession ?? false,
      onMessage,
    }),
  );
}

/** Starts a device over AMQPS. Returns at once; listen for `connected`. @throws CredentialFileError */
export function startAmqpDevice(options: AmqpDeviceOptions): RunningDevice {
  const device = new SimulatedDevice(options.device);
  const identity = identityOf(options);
  return runningDevice(options, device, (onMessage) =>
    openAmqpSession({
      deviceId: device.deviceId,
      endpoint: options.endpoint,
      identity,
      keepAliveSeconds: options.keepAliveSeconds ?? DEFAULT_KEEP_ALIVE_SECONDS,
      style: device.style,
      onMessage,
    }),
  );
}

function runningDevice(
  options: CommonOptions,
  device: SimulatedDevice,
  open: ConstructorParameters<typeof RunningDevice>[0]['open'],
): RunningDevice {
  return new RunningDevice({
    device,
    open,
    where: `${options.endpoint.host}:${options.endpoint.port}`,
    ...(options.backoff ? { backoff: options.backoff } : {}),
    ...(options.restartMs === undefined ? {} : { restartMs: options.restartMs }),
    ...(options.gate ? { gate: options.gate } : {}),
    once: options.once ?? false,
  }).start();
}
