export * from './limits.js';
export * from './ids.js';
export * from './topics.js';
export * from './methods.js';
export * from './correlation.js';
export * from './errors.js';
export * from './rest.js';
