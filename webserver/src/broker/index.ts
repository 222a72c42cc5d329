export { BrokerLink, type BrokerLinkOptions, type BrokerTls } from './link.js';
export { ManagementClient, ManagementError, type ManagementOptions } from './management.js';
export type { Change } from './changes.js';
