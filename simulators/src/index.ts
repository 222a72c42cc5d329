export * from './start-device.js';
