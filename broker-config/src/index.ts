export { brokerCapabilities, type BrokerCapability } from './capabilities.js';
export type { BrokerConfigOptions, ResolvedBrokerConfig } from './config-options.js';
export { detectBroker, type BrokerInstallation, type BrokerRunner } from './detect.js';
export {
  BrokerConfigError,
  BrokerNotFoundError,
  BrokerStartError,
  BrokerUnusableError,
  type BrokerStartFailure,
} from './errors.js';
export {
  BrokerNode,
  type BrokerDiagnosis,
  type BrokerExit,
  type BrokerNodeOptions,
  type BrokerNodeState,
} from './node.js';
export {
  BROKER_CONFIG_FILES,
  renderBrokerConfig,
  type BrokerConfigFile,
  type RenderedBrokerConfig,
} from './render.js';
export { endLeftoverNode } from './stale-node.js';
export { parseBrokerVersion, compareVersions, isAtLeast, type BrokerVersion } from './version.js';
