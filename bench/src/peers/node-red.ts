import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Registered } from '../account.js';
import { HttpConnection } from '../http-connection.js';
import { ROOT } from '../stack.js';

/** The last line that runs on Node.js 20. Large, and nobody's dependency: installed on demand, not in the lockfile. */
export const NODE_RED_VERSION = '4.1.8';
const FOLDER = join(ROOT, '.tools/node-red');
const START_TIMEOUT_MS = 60_000;

/** @throws Error that says why it cannot be had */
export function installNodeRed(say: (line: string) => void): void {
  const manifest = join(FOLDER, 'node_modules/node-red/package.json');
  if (
    existsSync(manifest) &&
    (JSON.parse(readFileSync(manifest, 'utf8')) as { version: string }).version === NODE_RED_VERSION
  )
    return;
  say(`Installing Node-RED ${NODE_RED_VERSION} into .tools/node-red (once).`);
  const draft = `${FOLDER}.new-${process.pid}`;
  rmSync(draft, { recursive: true, force: true });
  mkdirSync(draft, { recursive: true });
  writeFileSync(join(draft, 'package.json'), '{"private":true}\n');
  try {
    execFileSync(
      'npm',
      [
        'install',
        '--no-audit',
        '--no-fund',
        '--ignore-scripts',
        '--loglevel=error',
        `node-red@${NODE_RED_VERSION}`,
      ],
      {
        cwd: draft,
        stdio: ['ignore', 'ignore', 'pipe'],
        timeout: 300_000,
      },
    );
    rmSync(FOLDER, { recursive: true, force: true });
    renameSync(draft, FOLDER);
  } catch (error) {
    rmSync(draft, { recursive: true, force: true });
    throw new Error(`npm could not install node-red@${NODE_RED_VERSION}`, { cause: error });
  }
}

export interface NodeRedOptions {
  dir: string;
  /** Its identity at the broker. */
  identity: Registered;
  caFile: string;
  mqttsPort: number;
  tls: { certFile: string; keyFile: string };
}

/** Node-RED with a flow that does what a gateway does: HTTPS in, MQTTS out to the device, the answer back. */
export class NodeRed {
  private constructor(
    readonly url: string,
    private readonly child: ChildProcess,
  ) {}

  get pid(): number {
    return this.child.pid!;
  }

  static async start(options: NodeRedOptions): Promise<NodeRed> {
    const userDir = join(options.dir, 'node-red');
    mkdirSync(userDir, { recursive: true });
    const port = await freePort();
    writeFileSync(join(userDir, 'flow.json'), JSON.stringify(flow(options)));
    writeFileSync(
      join(userDir, 'settings.js'),
      `const fs = require('fs');
module.exports = {
  flowFile: 'flow.json', uiHost: '127.0.0.1', uiPort: ${port}, httpAdminRoot: false, credentialSecret: false,
  https: { cert: fs.readFileSync(${JSON.stringify(options.tls.certFile)}), key: fs.readFileSync(${JSON.stringify(options.tls.keyFile)}) },
  diagnostics: { enabled: false }, telemetry: { enabled: false, updateNotification: false },
  logging: { console: { level: 'warn', metrics: false, audit: false } },
};\n`,
    );
    let output = '';
    const child = spawn(
      process.execPath,
      [
        join(FOLDER, 'node_modules/node-red/red.js'),
        '--userDir',
        userDir,
        '--settings',
        join(userDir, 'settings.js'),
      ],
      {
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    );
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => (output = (output + chunk.toString('utf8')).slice(-4_000)));
    const nodeRed = new NodeRed(`https://localhost:${port}`, child);
    const deadline = Date.now() + START_TIMEOUT_MS;
    while (!(await nodeRed.#answers(options))) {
      if (child.exitCode !== null || Date.now() > deadline) {
        await nodeRed.stop();
        throw new Error(`Node-RED did not come up: ${output.trim() || 'it said nothing'}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    return nodeRed;
  }

  async stop(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const gone = new Promise((resolve) => this.child.once('exit', resolve));
    this.child.kill('SIGTERM');
    const killer = setTimeout(() => this.child.kill('SIGKILL'), 5_000);
    await gone;
    clearTimeout(killer);
  }

  /** True once its flow runs and is connected to the broker. */
  async #answers({ caFile }: NodeRedOptions): Promise<boolean> {
    const { port, hostname, host } = new URL(this.url);
    const connection = new HttpConnection({ host: hostname, port: Number(port), ca: readFileSync(caFile) });
    try {
      const { status } = await connection.request(`GET /ready HTTP/1.1\r\nHost: ${host}\r\n`, '');
      return status === 200;
    } catch {
      return false;
    } finally {
      connection.close();
    }
  }
}

/** Each call gets an id into its payload, as Postern does for MQTT 3.1.1; without an answer in 5 s it fails. */
const SEND = `
const waiting = flow.get('waiting') || new Map();
flow.set('waiting', waiting);
const id = String((context.get('last') || 0) + 1);
context.set('last', Number(id));
const timer = setTimeout(() => {
  waiting.delete(id);
  msg.statusCode = 504;
  msg.payload = { error: 'timeout' };
  node.send([null, msg]);
}, 5000);
waiting.set(id, { msg, timer });
return [{ topic: msg.req.params.device + '/peer', payload: { ...msg.payload, correlationId: id } }, null];
`;
const RECEIVE = `
const { correlationId, ...reply } = msg.payload;
const waiting = flow.get('waiting');
const call = waiting && waiting.get(correlationId);
if (!call) return null;
waiting.delete(correlationId);
clearTimeout(call.timer);
call.msg.payload = reply;
return call.msg;
`;
/** 200 once the MQTT connection stands: its status node says so. */
const READY = `
msg.statusCode = flow.get('connected') ? 200 : 503;
msg.payload = {};
return msg;
`;
const STATUS = `flow.set('connected', msg.status && msg.status.fill === 'green'); return null;`;

function flow({ identity, caFile, mqttsPort }: NodeRedOptions): object[] {
  const z = 'flow';
  const node = (id: string, type: string, wires: string[][], rest: object): object => ({
    id,
    type,
    z,
    wires,
    x: 0,
    y: 0,
    ...rest,
  });
  const code = (func: string, outputs: number): object => ({
    func,
    outputs,
    initialize: '',
    finalize: '',
    libs: [],
    noerr: 0,
  });
  return [
    { id: z, type: 'tab', label: 'gateway', disabled: false },
    {
      id: 'tls',
      type: 'tls-config',
      cert: identity.certFile,
      key: identity.keyFile,
      ca: caFile,
      certname: '',
      keyname: '',
      caname: '',
      servername: 'localhost',
      verifyservercert: true,
      alpnprotocol: '',
    },
    {
      id: 'broker',
      type: 'mqtt-broker',
      broker: '127.0.0.1',
      port: String(mqttsPort),
      tls: 'tls',
      usetls: true,
      clientid: identity.id,
      autoConnect: true,
      protocolVersion: '4',
      keepalive: '60',
      cleansession: true,
    },
    node('in', 'http in', [['send']], { url: '/call/:device', method: 'post', upload: false }),
    node('send', 'function', [['out'], ['answer']], code(SEND, 2)),
    node('out', 'mqtt out', [], { topic: '', qos: '0', retain: 'false', broker: 'broker' }),
    node('back', 'mqtt in', [['receive']], {
      topic: 'server/+/peer',
      qos: '0',
      datatype: 'json',
      broker: 'broker',
      inputs: 0,
    }),
    node('receive', 'function', [['answer']], code(RECEIVE, 1)),
    node('answer', 'http response', [], { statusCode: '', headers: {} }),
    node('ready-in', 'http in', [['ready']], { url: '/ready', method: 'get', upload: false }),
    node('ready', 'function', [['answer']], code(READY, 1)),
    node('status-in', 'status', [['status']], { scope: ['back'] }),
    node('status', 'function', [[]], code(STATUS, 1)),
  ];
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}
