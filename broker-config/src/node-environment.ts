import { join } from 'node:path';
import type { DataFolder } from './data-folder.js';
import type { BrokerInstallation } from './detect.js';

/** Name of the node. Each node has an epmd of its own, so that all of them may have the same name. */
export const NODE_NAME = 'postern@localhost';

/**
 * How the broker's HTTP client asks the gateway who may do what. Erlang keeps 2 connections and lets 5 requests wait for
 * each; one more, and each further request makes a TLS connection of its own, which costs both sides ten times the
 * answer. No configuration file reaches these options. It must hold no space, where RabbitMQ's script splits it; and
 * should it fail, the node starts all the same.
 */
const KEEP_CONNECTIONS_TO_THE_GATEWAY =
  'catch{application:ensure_all_started(inets),httpc:set_options([{max_sessions,64},{max_keep_alive_length,1}])}.';

/**
 * The whole environment of a node: nothing is inherited but PATH, so that no `RABBITMQ_*` or `ERL_*` of the
 * user, and no file of the system's RabbitMQ, changes what runs.
 */
export function nodeEnvironment(options: {
  installation: BrokerInstallation;
  folder: DataFolder;
  epmdPort: number;
  distributionPort: number;
}): NodeJS.ProcessEnv {
  const { installation, folder } = options;
  const config = (name: string): string => join(folder.config, name);
  const systemPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
  const { runner } = installation;
  return {
    PATH:
      runner.kind === 'direct'
        ? `${runner.erlangBin}:${process.env['PATH'] ?? ''}:${systemPath}`
        : systemPath,
    HOME: folder.home,
    TMPDIR: folder.run,
    LC_ALL: process.platform === 'darwin' ? 'en_US.UTF-8' : 'C.UTF-8',
    // A dump holds whatever was in memory, secrets included.
    ERL_CRASH_DUMP_SECONDS: '0',
    ERL_EPMD_PORT: String(options.epmdPort),
    ERL_EPMD_ADDRESS: '127.0.0.1',
    RABBITMQ_NODENAME: NODE_NAME,
    RABBITMQ_DIST_PORT: String(options.distributionPort),
    RABBITMQ_MNESIA_BASE: folder.database,
    RABBITMQ_LOG_BASE: folder.log,
    RABBITMQ_LOGS: folder.brokerLog,
    RABBITMQ_PID_FILE: join(folder.run, 'broker.pid'),
    RABBITMQ_CONF_ENV_FILE: config('none.sh'),
    RABBITMQ_CONFIG_FILE: config('rabbitmq.conf'),
    RABBITMQ_CONFIG_FILES: config('none.d'),
    RABBITMQ_ADVANCED_CONFIG_FILE: config('advanced.config'),
    RABBITMQ_ENABLED_PLUGINS_FILE: config('enabled_plugins'),
    // The script then becomes the Erlang VM instead of watching over it: one process, and signals reach it.
    RUNNING_UNDER_SYSTEMD: 'true',
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: `-kernel inet_dist_use_interface {127,0,0,1} -eval ${KEEP_CONNECTIONS_TO_THE_GATEWAY}`,
  };
}
