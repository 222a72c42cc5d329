import { readdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { z } from 'zod';
import { CredentialFileError, readNamedFile, type CredentialFiles } from '../files/credential-files.js';
import { DEVICE_FOLDER_FILES, readDeviceFolder, type Endpoint } from '../files/device-folder.js';

/** One device of a fleet. */
export interface FleetMember {
  deviceId: string;
  /** Null: the fleet's own. */
  mqtts: Endpoint | null;
  amqps: Endpoint | null;
  files: CredentialFiles;
  username?: string | undefined;
  passwordFile?: string | undefined;
}

const memberSchema = z.strictObject({
  id: z.string().min(1),
  cert: z.string().min(1),
  key: z.string().min(1),
  /** Default: `--ca`. */
  ca: z.string().min(1).optional(),
  username: z.string().optional(),
  passwordFile: z.string().optional(),
});

/**
 * Reads a JSON file `[{"id","cert","key","ca"?,"username"?,"passwordFile"?}, ...]`; paths are relative to it.
 * @throws CredentialFileError
 */
export function readManifest(path: string, defaultCa: string | undefined): FleetMember[] {
  const text = readNamedFile(path, 'the manifest');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new CredentialFileError(path, `the manifest ${path} is not JSON`, { cause: error });
  }
  const parsed = z.array(memberSchema).min(1).safeParse(value);
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!;
    throw new CredentialFileError(
      path,
      `the manifest ${path}: ${issue.path.join('.')}: ${issue.message}; it should be [{"id":"d...","cert":"...","key":"..."}, ...]`,
    );
  }
  const at = (name: string): string => resolve(dirname(path), name);
  return parsed.data.map((member) => {
    const ca = member.ca === undefined ? defaultCa : at(member.ca);
    if (ca === undefined) {
      throw new CredentialFileError(
        path,
        `the manifest ${path}: ${member.id} names no "ca"; give it, or --ca`,
      );
    }
    return {
      deviceId: member.id,
      mqtts: null,
      amqps: null,
      files: { ca, cert: at(member.cert), key: at(member.key) },
      username: member.username,
      passwordFile: member.passwordFile === undefined ? undefined : at(member.passwordFile),
    };
  });
}

/** Every sub-folder that holds a `device.json`, in the order of the names. @throws CredentialFileError */
export function readFleetFolder(folder: string): FleetMember[] {
  let names: string[];
  try {
    names = readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name)
      .sort();
  } catch (error) {
    throw new CredentialFileError(folder, `the fleet's folder ${folder} cannot be read`, { cause: error });
  }
  if (names.length === 0) {
    throw new CredentialFileError(
      folder,
      `the fleet's folder ${folder} holds no folder; each device has one, with ${DEVICE_FOLDER_FILES.description} in it`,
    );
  }
  return names.map((name) => {
    const { deviceId, mqtts, amqps, files } = readDeviceFolder(join(folder, name));
    return { deviceId, mqtts, amqps, files };
  });
}
