/** What others may use of the gateway: to start one in a test, to read its settings, to check its answers. */
export { buildApp, type App, type AppDeps } from './app.js';
export {
  ConfigError,
  describeSettings,
  httpConfig,
  loadSettings,
  type HttpConfig,
  type SettingDescription,
  type Settings,
} from './config.js';
export { createExchangeValidator, type Exchange, type ExchangeValidator } from './http/exchange-validator.js';
export { closeGracefully, createHttpsServer, type ServerLimits, type TlsFiles } from './http/server.js';
export { createLogger, type Logger } from './logging.js';
export { createMetrics, type Metrics } from './metrics.js';
