import { join } from 'node:path';
import { z } from 'zod';
import { CredentialFileError, readNamedFile, type CredentialFiles } from './credential-files.js';

/** Names inside a device's folder, as registration writes it. */
export const DEVICE_FOLDER_FILES = {
  description: 'device.json',
  cert: 'chain.pem',
  key: 'key.pem',
  ca: 'rootca.pem',
} as const;

const endpointSchema = z.looseObject({ host: z.string().min(1), port: z.int().min(1).max(65_535) });
const descriptionSchema = z.looseObject({
  deviceId: z.string().min(1),
  name: z.string().optional(),
  mqtts: endpointSchema.optional(),
  amqps: endpointSchema.optional(),
});

export interface Endpoint {
  host: string;
  port: number;
}

export interface DeviceFolder {
  deviceId: string;
  name: string | null;
  mqtts: Endpoint | null;
  amqps: Endpoint | null;
  files: CredentialFiles;
}

/** Reads `device.json` and names the files beside it. @throws CredentialFileError */
export function readDeviceFolder(folder: string): DeviceFolder {
  const path = join(folder, DEVICE_FOLDER_FILES.description);
  const text = readNamedFile(path, 'the device description');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new CredentialFileError(path, `the device description ${path} is not JSON`, { cause: error });
  }
  const parsed = descriptionSchema.safeParse(value);
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!;
    throw new CredentialFileError(
      path,
      `the device description ${path}: ${issue.path.join('.')}: ${issue.message}; it should look like ` +
        '{"deviceId":"d...","name":"lamp","mqtts":{"host":"localhost","port":8883},"amqps":{...}}',
    );
  }
  const { deviceId, name, mqtts, amqps } = parsed.data;
  return {
    deviceId,
    name: name ?? null,
    mqtts: mqtts ? { host: mqtts.host, port: mqtts.port } : null,
    amqps: amqps ? { host: amqps.host, port: amqps.port } : null,
    files: {
      ca: join(folder, DEVICE_FOLDER_FILES.ca),
      cert: join(folder, DEVICE_FOLDER_FILES.cert),
      key: join(folder, DEVICE_FOLDER_FILES.key),
    },
  };
}
