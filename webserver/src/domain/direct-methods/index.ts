export { DirectMethodEngine, type DirectMethodEngineOptions } from './engine.js';
export { DIRECT_METHOD_LIMITS, type DirectMethodLimits } from './limits.js';
export type { MethodTransport, OutgoingRequest, TransportEvents } from './transport.js';
