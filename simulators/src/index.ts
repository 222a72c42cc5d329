export { startAmqpDevice, startMqttDevice } from './start-device.js';
export type { AmqpDeviceOptions, MqttDeviceOptions } from './start-device.js';
export { Fleet, FleetError, startFleet } from './fleet/fleet.js';
export type { FleetEvents, FleetOptions } from './fleet/fleet.js';
export type { FleetStatistics } from './fleet/fleet-statistics.js';
export { readFleetFolder, readManifest } from './fleet/manifest.js';
export type { FleetMember } from './fleet/manifest.js';
export { SimulatedDevice, MAX_PENDING_REQUESTS, MAX_REQUEST_BYTES } from './device/simulated-device.js';
export type {
  DeviceCounters,
  DeviceEvents,
  DeviceSnapshot,
  DeviceStyle,
  IncomingMessage,
  OutgoingMessage,
  SimulatedDeviceOptions,
} from './device/simulated-device.js';
export { GARBAGE_KINDS, NO_FAULTS, faultsSchema } from './device/faults.js';
export type { Faults, GarbageKind } from './device/faults.js';
export { MAX_REMEMBERED_REPLIES } from './device/recent-replies.js';
export { RunningDevice } from './transport/running-device.js';
export type { ConnectionEvents, RunningDeviceEvents } from './transport/running-device.js';
export type { ConnectFailure, ConnectFailureCode } from './transport/connect-failure.js';
export { CredentialFileError, loadTlsIdentity } from './files/credential-files.js';
export type { CredentialFiles, TlsIdentity } from './files/credential-files.js';
export { DEVICE_FOLDER_FILES, readDeviceFolder } from './files/device-folder.js';
export type { DeviceFolder, Endpoint } from './files/device-folder.js';
export type { MqttVersion } from './transport/mqtt.js';
