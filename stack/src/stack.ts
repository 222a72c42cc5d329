import { existsSync, readdirSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { detectBroker, isAtLeast, type BrokerInstallation } from '@postern/broker-config';
import { Broker, sayCapabilities } from './broker.js';
import { prepareCertificates, readRoot, type Certificates } from './certificates.js';
import { Cli } from './cli.js';
import { writeDurably, type DataFolder } from './data-folder.js';
import { prepareDemo, type Demo } from './demo.js';
import { StoppedError } from './errors.js';
import { FACTS_FILE, type StackFacts } from './facts.js';
import { GatewayClient } from './gateway-client.js';
import {
  crlUrl,
  gatewayEnvironment,
  publicUrl,
  reachableName,
  type StackSecrets,
} from './gateway-settings.js';
import { startGateway, untilReady } from './gateway.js';
import { sayNextSteps } from './next-steps.js';
import { Keeper } from './keeper.js';
import { startLamp } from './lamp.js';
import { LogFile } from './log-file.js';
import { choosePorts, freePort } from './ports.js';
import { seconds, type Say } from './screen.js';
import { secretFile } from './secrets.js';
import type { PortName, Settings } from './settings.js';

export interface StackOptions {
  readonly settings: Settings;
  readonly folder: DataFolder;
  /** What children get: what this process got, and the mark of this run. */
  readonly env: NodeJS.ProcessEnv;
  readonly say: Say;
  readonly stop: AbortSignal;
}

/** What the start has found out and chosen before anything runs. */
interface Plan {
  readonly installation: BrokerInstallation;
  readonly ports: Readonly<Record<PortName, number>>;
  readonly certificates: Certificates;
  readonly secrets: StackSecrets;
  readonly managementPort: number;
  readonly gateways: readonly { httpsPort: number; brokerAuthPort: number; client: GatewayClient }[];
}

const LOOPBACK = '127.0.0.1';

/** The parts of one `make run`, started in order and ended in order. */
export class Stack {
  readonly #options: StackOptions;
  readonly #logs: LogFile[] = [];
  #plan: Plan | null = null;
  #broker: Keeper | null = null;
  #gateways: Keeper[] = [];
  #lamp: Keeper | null = null;
  #demo: Demo | null = null;
  #isReady = false;

  constructor(options: StackOptions) {
    this.#options = options;
  }

  /** @throws for whatever keeps it from being ready; {@link down} then ends what runs already */
  async up(): Promise<void> {
    const { settings, folder, say, stop } = this.#options;
    const beganAt = Date.now();
    say(`Postern keeps its data in ${folder.path}`);
    const plan = await this.#prepare();
    this.#plan = plan;

    say(`Starting RabbitMQ ${plan.installation.version.text} and the gateway.`);
    sayCapabilities(plan.installation, say);
    const broker = this.#makeBroker(plan);
    this.#broker = broker;
    this.#gateways = plan.gateways.map((_, index) => this.#makeGateway(plan, index));
    // The broker asks the first gateway who may log in, and reads the CRL that the gateway writes: where there is
    // none yet (first run) it waits for that. Otherwise both start at once.
    const gatewaysUp = allUp(this.#gateways);
    await Promise.all([gatewaysUp, this.#untilCrl(gatewaysUp).then(() => broker.up())]);
    await untilReady(
      plan.gateways.map(({ client }) => client),
      stop,
    );
    say(`Both are up (${seconds(Date.now() - beganAt)}).`);
    const url = publicUrl(settings, plan.ports.https);
    // For the command `postern`, which looks here where POSTERN_DATA_DIR names this folder.
    writeDurably(folder.at('gateway.json'), `${JSON.stringify({ url: this.#localUrl(plan) })}\n`);

    if (settings.demo) await this.#startDemo(plan);
    if (stop.aborted) throw new StoppedError();
    this.#isReady = true;
    this.#writeFacts();
    if (this.#demo !== null) sayNextSteps({ settings, folder, demo: this.#demo, say });
    say(`Postern is ready: ${url}`);
  }

  /** Ends all parts, also those that are still starting: devices and gateways first, then the broker. */
  async down(hurry: AbortSignal): Promise<void> {
    this.#isReady = false;
    const clients = [...this.#gateways, ...(this.#lamp ? [this.#lamp] : [])];
    await Promise.all(clients.map((keeper) => keeper.stop(hurry)));
    await this.#broker?.stop(hurry);
    for (const log of this.#logs) log.close();
  }

  async #prepare(): Promise<Plan> {
    const { settings, folder, say } = this.#options;
    const installation = await detectBroker(settings.rabbitmqHome);
    const ports = await choosePorts(settings);
    const secrets: StackSecrets = {
      keyFile: folder.at('secrets', 'key'),
      tokenKeyFile: secretFile(folder, 'token.key'),
      managementPasswordFile: secretFile(folder, 'management.password'),
    };
    const certificates = await prepareCertificates({
      folder,
      keyFile: secrets.keyFile,
      crlUrl: crlUrl(settings, ports.https),
      hostNames: [
        ...settings.hostNames,
        ...(isAnyAddress(settings.bindAddress) ? [] : [settings.bindAddress]),
      ],
      say,
    });
    const rootPem = readRoot(certificates);
    const taken = new Set(Object.values(ports));
    const choose = async (address: string): Promise<number> => {
      const port = await freePort(address, taken);
      taken.add(port);
      return port;
    };
    const managementPort = await choose(LOOPBACK);
    const gateways = [];
    for (let index = 0; index < settings.gateways; index++) {
      const httpsPort = index === 0 ? ports.https : await choose(settings.bindAddress);
      const client = new GatewayClient({ host: reachableName(settings), port: httpsPort, rootPem });
      gateways.push({ httpsPort, brokerAuthPort: await choose(LOOPBACK), client });
    }
    return { installation, ports, certificates, secrets, managementPort, gateways };
  }

  #makeBroker(plan: Plan): Keeper {
    const { settings, folder } = this.#options;
    const { installation, certificates, ports, managementPort } = plan;
    const dialect = isAtLeast(installation.version, '3.13') ? 'v4' : 'v3';
    const broker = new Broker({
      installation,
      dataDir: folder.at('broker'),
      managementPort,
      config: {
        tls: {
          caFile: certificates.trustFile,
          certFile: certificates.broker.certFile,
          keyFile: certificates.broker.keyFile,
          crlDir: folder.at('crl'),
        },
        mqtts: { address: settings.bindAddress, port: ports.mqtts },
        amqps: { address: settings.bindAddress, port: ports.amqps },
        authBackend: {
          url: `https://${LOOPBACK}:${plan.gateways[0]!.brokerAuthPort}/${dialect}`,
          tls: { caFile: certificates.trustFile, ...certificates.brokerClient },
        },
      },
    });
    return this.#keep('the broker', (stop, hurry) => broker.start(stop, hurry));
  }

  #makeGateway(plan: Plan, index: number): Keeper {
    const { settings, folder, env } = this.#options;
    const { client, httpsPort, brokerAuthPort } = plan.gateways[index]!;
    const suffix = index === 0 ? '' : `-${index + 1}`;
    const log = this.#log(`gateway${suffix}.log`);
    const gatewayEnv = gatewayEnvironment(
      {
        settings,
        dataDir: folder.path,
        crlDir: folder.at('crl'),
        certificates: plan.certificates,
        secrets: plan.secrets,
        ports: plan.ports,
        httpsPort,
        brokerAuthPort,
        managementUrl: `http://${LOOPBACK}:${plan.managementPort}`,
      },
      env,
    );
    const name = index === 0 ? 'the gateway' : `gateway ${index + 1}`;
    return this.#keep(name, (stop, hurry) => startGateway({ env: gatewayEnv, log, client }, stop, hurry));
  }

  async #startDemo(plan: Plan): Promise<void> {
    const { settings, folder, env, say, stop } = this.#options;
    this.#demo = await prepareDemo({
      folder,
      cli: new Cli({ env, dataDir: folder.path }),
      mongodbUrl: settings.mongodbUrl,
      keyFile: plan.secrets.tokenKeyFile,
      say,
    });
    const lampFolder = this.#demo.lampFolder;
    if (lampFolder === null || stop.aborted) return;
    const where = { host: reachableName(settings), port: plan.ports.mqtts };
    const log = this.#log('lamp.log');
    this.#lamp = this.#keep('the simulated lamp', (stopLamp, hurry) =>
      startLamp({ folder: lampFolder, ...where, env, log, say }, stopLamp, hurry),
    );
    await this.#lamp.up();
  }

  #keep(name: string, start: ConstructorParameters<typeof Keeper>[0]['start']): Keeper {
    const { say } = this.#options;
    return new Keeper({ name, start, say, onRestart: () => this.#writeFacts() });
  }

  #log(name: string): LogFile {
    const log = new LogFile(this.#options.folder.at('logs', name));
    this.#logs.push(log);
    return log;
  }

  async #untilCrl(gatewaysUp: Promise<void>): Promise<void> {
    const { folder, stop } = this.#options;
    const isThere = (): boolean =>
      existsSync(folder.at('crl')) &&
      readdirSync(folder.at('crl')).some((name) => /^[0-9a-f]{8}\.r\d+$/.test(name));
    let isUp = false;
    void gatewaysUp.then(
      () => (isUp = true),
      () => (isUp = true),
    );
    // Once the gateway serves it has written the list, or will not: then the broker says what is missing.
    while (!isThere() && !isUp && !stop.aborted) await delay(20);
  }

  #localUrl(plan: Plan): string {
    return `https://${reachableName(this.#options.settings)}:${plan.ports.https}`;
  }

  #writeFacts(): void {
    const { settings, folder } = this.#options;
    const plan = this.#plan;
    if (!this.#isReady || plan === null) return;
    const facts: StackFacts = {
      version: 1,
      pid: process.pid,
      dataDir: folder.path,
      url: this.#localUrl(plan),
      caFile: plan.certificates.rootFile,
      ports: plan.ports,
      broker: {
        pid: this.#broker?.pid ?? null,
        version: plan.installation.version.text,
        managementUrl: `http://${LOOPBACK}:${plan.managementPort}`,
      },
      gateways: plan.gateways.map(({ httpsPort, brokerAuthPort }, index) => ({
        pid: this.#gateways[index]?.pid ?? null,
        url: `https://${reachableName(settings)}:${httpsPort}`,
        brokerAuthPort,
      })),
      lamp: this.#lamp ? { pid: this.#lamp.pid, folder: this.#demo?.lampFolder ?? '' } : null,
    };
    writeDurably(folder.at(FACTS_FILE), `${JSON.stringify(facts, null, 2)}\n`);
  }
}

async function allUp(keepers: readonly Keeper[]): Promise<void> {
  await Promise.all(keepers.map((keeper) => keeper.up()));
}

const isAnyAddress = (address: string): boolean => address === '0.0.0.0' || address === '::';
