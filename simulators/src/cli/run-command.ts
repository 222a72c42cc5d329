import type { RunningDevice } from '../transport/running-device.js';
import { readPasswordFile, loadTlsIdentity, type CredentialFiles } from '../files/credential-files.js';
import { readDeviceFolder, type Endpoint } from '../files/device-folder.js';
import { startAmqpDevice, startMqttDevice } from '../start-device.js';
import { ControlChannel } from './control.js';
import { EXIT, UsageError } from './exit-codes.js';
import {
  backoffFrom,
  behaviourFrom,
  checkShared,
  mqttOptionsFrom,
  type SharedOptionValues,
} from './shared-options.js';
import { printableUart, type Terminal } from './terminal.js';

export interface RunOptionValues extends SharedOptionValues {
  dir?: string;
  id?: string;
  ca?: string;
  cert?: string;
  key?: string;
  username?: string;
  passwordFile?: string;
  mac?: string;
  ip?: string;
  subnet?: string;
  gateway?: string;
  once?: true;
}

interface Target {
  deviceId: string;
  endpoint: Endpoint;
  files: CredentialFiles;
}

const DEFAULT_PORTS = { mqtt: 8883, amqp: 5671 } as const;

/** Options outrank what the folder says. @throws UsageError naming what is missing */
function targetFrom(values: RunOptionValues): Target {
  const folder = values.dir === undefined ? null : readDeviceFolder(values.dir);
  const described = values.transport === 'amqp' ? folder?.amqps : folder?.mqtts;
  const deviceId = values.id ?? folder?.deviceId;
  const ca = values.ca ?? folder?.files.ca;
  const host = values.host ?? described?.host;
  const missing = [
    deviceId === undefined && '--id',
    host === undefined && '--host',
    ca === undefined && '--ca',
  ].filter(Boolean);
  if (deviceId === undefined || ca === undefined || host === undefined) {
    throw new UsageError(
      `missing ${missing.join(', ')}: give --dir <folder of a registered device>, or --host, --id, --ca, --cert and --key`,
    );
  }
  return {
    deviceId,
    endpoint: { host, port: values.port ?? described?.port ?? DEFAULT_PORTS[values.transport] },
    files: { ca, cert: values.cert ?? folder?.files.cert, key: values.key ?? folder?.files.key },
  };
}

/** Starts the one device that the options describe. */
export function startFromOptions(values: RunOptionValues, terminal: Terminal): RunningDevice {
  checkShared(values);
  const target = targetFrom(values);
  if (values.passwordFile !== undefined && values.username === undefined) {
    throw new UsageError('--password-file needs --username beside it');
  }
  const identity = loadTlsIdentity(target.files, { tls12Only: values.tls12 ?? false });
  for (const warning of identity.warnings) terminal.problem(`Warning: ${warning}`);
  if (identity.commonName !== null && identity.commonName !== target.deviceId) {
    terminal.problem(
      `Warning: the certificate is for ${identity.commonName}, not for ${target.deviceId}; the broker will refuse it`,
    );
  }
  const network =
    values.ip !== undefined || values.subnet !== undefined || values.gateway !== undefined
      ? {
          network: {
            ip: values.ip ?? '192.0.2.10',
            subnet: values.subnet ?? '255.255.255.0',
            gateway: values.gateway ?? '192.0.2.1',
          },
        }
      : {};
  const common = {
    endpoint: target.endpoint,
    credentials: identity,
    device: {
      deviceId: target.deviceId,
      ...behaviourFrom(values),
      ...network,
      ...(values.mac === undefined ? {} : { mac: values.mac }),
    },
    keepAliveSeconds: values.keepAlive,
    backoff: backoffFrom(values),
    restartMs: values.restartMs,
    once: values.once ?? false,
  };
  if (values.transport === 'amqp') {
    if (values.username !== undefined) {
      throw new UsageError('--username is for MQTT; an AMQP device logs in by its certificate alone');
    }
    return startAmqpDevice(common);
  }
  return startMqttDevice({
    ...common,
    ...mqttOptionsFrom(values),
    username: values.username,
    password: values.passwordFile === undefined ? undefined : readPasswordFile(values.passwordFile),
  });
}

/** Tells people what the device does. */
export function narrate(running: RunningDevice, terminal: Terminal, where: string): void {
  running.on('connected', () => terminal.line(`Connected to ${where} as ${running.device.deviceId}`));
  running.on('disconnected', ({ reason }) => terminal.line(`Disconnected: ${reason}`));
  running.on('connectFailed', ({ code, message, retryInMs }) => {
    const next = retryInMs === null ? '' : `; next attempt in ${(retryInMs / 1000).toFixed(1)} s`;
    terminal.problem(`Cannot connect (${code}): ${message}${next}`);
  });
  running.on('request', ({ method }) => terminal.line(`Request ${printableUart(Buffer.from(method))}`));
  running.on('restart', () => terminal.line('Restarting'));
  running.on('uart', (data) => terminal.line(`UART: ${printableUart(data)}`));
}

/** Runs the device until it is told to stop. */
export async function run(
  values: RunOptionValues,
  { terminal, stopped, stop }: { terminal: Terminal; stopped: Promise<void>; stop: () => void },
): Promise<number> {
  const running = startFromOptions(values, terminal);
  let failed = false;
  running.on('connectFailed', ({ retryInMs }) => {
    failed ||= retryInMs === null;
  });
  narrate(running, terminal, `${values.transport.toUpperCase()}S ${running.where}`);
  const control =
    values.control === undefined
      ? null
      : new ControlChannel({
          input: process.stdin,
          output: process.stdout,
          controlled: {
            devices: new Map([[running.device.deviceId, running]]),
            statistics: null,
          },
          onStop: stop,
        });
  await Promise.race([stopped, running.done]);
  await running.stop();
  control?.close();
  return failed ? EXIT.CONNECT : EXIT.OK;
}
