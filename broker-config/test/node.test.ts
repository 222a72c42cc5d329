import { execFile, execFileSync, spawn } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  statSync,
  writeFileSync,
  chownSync,
  readdirSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { BrokerConfigError, BrokerNode, BrokerStartError } from '@postern/broker-config';
import { freePort, openBed, testBrokers, type Bed } from './support/bed.js';
import { amqpOpen, eventually, mqttConnect } from './support/clients.js';

const brokers = await testBrokers();
const LAUNCHER = join(import.meta.dirname, 'support', 'launcher.mjs');

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
};

/** What listens, by process id: `ss` names the processes of this user. */
function listeners(): { address: string; port: number; pid: number; program: string }[] {
  const out = execFileSync('ss', ['-ltnpH'], { encoding: 'utf8' });
  return out
    .split('\n')
    .map((line) => /\s(\S+):(\d+)\s+\S+\s+users:\(\("([^"]+)",pid=(\d+)/.exec(line))
    .filter((match) => match !== null)
    .map(([, address = '', port, program = '', pid]) => ({
      address,
      port: Number(port),
      program,
      pid: Number(pid),
    }));
}

/** The broker and epmd that belong to a data folder, by its run record. */
const recorded = (bed: Bed): { node: { pid: number }; epmd: { pid: number }; epmdPort: number } =>
  JSON.parse(readFileSync(join(bed.options.dataDir, 'run', 'node.json'), 'utf8')) as never;

describe.each(brokers)('a private node of $label', ({ home }) => {
  const beds: Bed[] = [];
  const bed = async (options: Parameters<typeof openBed>[0] = {}): Promise<Bed> => {
    const opened = await openBed({ home, ...options });
    beds.push(opened);
    return opened;
  };
  afterEach(async () => {
    for (const opened of beds.splice(0)) await opened.close();
  }, 60_000);

  const failure = async (node: BrokerNode): Promise<BrokerStartError> => {
    const error: unknown = await node.start().then(
      () => 'started',
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(BrokerStartError);
    return error as BrokerStartError;
  };

  test('keeps all but its two TLS ports on loopback, its folder to itself, and leaves nothing behind', async () => {
    const opened = await bed({ start: false, dataDirName: 'a folder' });
    opened.options.config.mqtts = { address: '0.0.0.0', port: opened.mqttsPort };
    opened.options.config.amqps = { address: '0.0.0.0', port: opened.amqpsPort };
    const node = new BrokerNode(opened.options);
    await node.start();
    try {
      const { node: broker, epmd, epmdPort } = recorded(opened);
      expect(broker.pid).toBe(node.pid);
      const ours = listeners().filter(({ pid }) => pid === broker.pid || pid === epmd.pid);
      const open = ours.filter(({ address }) => !['127.0.0.1', '[::1]'].includes(address));
      expect(open.map(({ port }) => port).sort()).toEqual([opened.mqttsPort, opened.amqpsPort].sort());
      // Beside those: management, Erlang distribution, and epmd, which binds both loopback addresses.
      const loopback = ours.filter((entry) => !open.includes(entry));
      expect(
        loopback.filter(({ program }) => program === 'epmd').every(({ port }) => port === epmdPort),
      ).toBe(true);
      expect(loopback.filter(({ program }) => program !== 'epmd')).toHaveLength(2);
      expect(loopback.map(({ port }) => port)).toContain(Number(new URL(node.managementUrl).port));
      expect(statSync(opened.options.dataDir).mode & 0o777).toBe(0o700);
      await node.stop();
      expect([broker.pid, epmd.pid].filter(isAlive)).toEqual([]);
      expect(listeners().filter(({ port }) => port === epmdPort)).toEqual([]);
      expect(existsSync(join(opened.options.dataDir, 'run', 'node.json'))).toBe(false);
      expect(readdirSync(join(opened.options.dataDir, 'run', 'root'))).toEqual([]);
    } finally {
      await node.stop();
    }
  }, 120_000);

  test('two run side by side, and durable queues outlive a restart', async () => {
    const [first, second] = [await bed(), await bed()];
    for (const each of [first, second]) {
      const gateway = await amqpOpen(each, each.gateway);
      const channel = await gateway.createConfirmChannel();
      await channel.assertQueue('kept', { durable: true });
      channel.sendToQueue('kept', Buffer.from('message'), { persistent: true });
      await channel.waitForConfirms();
      await gateway.close();
    }
    const url = first.node.managementUrl;
    await first.node.stop();
    await first.node.start();
    expect(first.node.managementUrl).toBe(url);
    const gateway = await amqpOpen(first, first.gateway);
    const channel = await gateway.createChannel();
    expect((await channel.checkQueue('kept')).messageCount).toBe(1);
    await gateway.close();
    const device = second.device();
    await (await mqttConnect(second, device, { clientId: device.id })).endAsync();
  }, 180_000);

  test('refuses a second launcher in its folder, tells of its end, and starts again afterwards', async () => {
    const opened = await bed();
    const ports = {
      mqtts: { address: '127.0.0.1', port: await freePort() },
      amqps: { address: '127.0.0.1', port: await freePort() },
    };
    const out = await launcherSays(opened, { ...opened.options.config, ...ports });
    expect(out).toMatch(/ALREADY_RUNNING/);
    expect(opened.node.state).toBe('ready');
    const device = opened.device();
    await (await mqttConnect(opened, device, { clientId: device.id })).endAsync();
    const { epmd } = recorded(opened);
    const ended = new Promise<unknown>((resolve) => opened.node.onExit(resolve));
    process.kill(opened.node.pid ?? 0, 'SIGKILL');
    expect(await ended).toMatchObject({ expected: false, signal: 'SIGKILL' });
    expect(opened.node.state).toBe('idle');
    expect(isAlive(epmd.pid)).toBe(false);
    await opened.node.start();
    expect(opened.node.state).toBe('ready');
  }, 180_000);

  test('nothing stays when its launcher is killed with -9', async () => {
    const opened = await bed({ start: false });
    const launcher = spawn(process.execPath, [LAUNCHER], {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...process.env, LAUNCH: JSON.stringify({ home, ...opened.options }) },
    });
    try {
      let said = '';
      launcher.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
      await eventually('the node', () => said.includes('ready'), 90_000);
      const { node, epmd } = recorded(opened);
      launcher.kill('SIGKILL');
      await eventually('broker and epmd to end', () => ![node.pid, epmd.pid].some(isAlive), 30_000);
    } finally {
      launcher.kill('SIGKILL');
    }
    // The record of the dead launcher is in the way of nobody.
    await opened.node.start();
  }, 180_000);

  test('a node whose launcher died is ended at the next start, a stranger with its number is not', async () => {
    const opened = await bed();
    const record = recorded(opened) as unknown as Record<string, unknown> & { launcher: object };
    const file = join(opened.options.dataDir, 'run', 'node.json');
    const stranger = spawn('sleep', ['60'], { detached: true });
    try {
      // As if the launcher had died without its death signal reaching the node, and its number had passed on.
      const orphan = { ...record, launcher: { pid: 4_000_000, started: 'x' } };
      writeFileSync(file, JSON.stringify({ ...orphan, epmd: { pid: stranger.pid, started: '1' } }));
      const exit = new Promise((resolve) => opened.node.onExit(resolve));
      const next = new BrokerNode({ ...opened.options, config: opened.options.config });
      await next.start();
      await exit;
      expect(isAlive(stranger.pid ?? 0)).toBe(true);
      await next.stop();
    } finally {
      stranger.kill('SIGKILL');
    }
  }, 180_000);

  test('a start can be stopped at any time', async () => {
    const opened = await bed({ start: false });
    for (const delayMs of [0, 150, 1_500]) {
      const started = failure(opened.node);
      await new Promise((resolve) => setTimeout(resolve, delayMs));
      await opened.node.stop();
      expect((await started).failure).toBe('STOPPED');
      expect(opened.node.state).toBe('idle');
      expect(existsSync(join(opened.options.dataDir, 'run', 'node.json'))).toBe(false);
      expect(processesOf(opened.options.dataDir)).toEqual([]);
    }
  }, 120_000);

  test('a port in use, a bad configuration and a folder of somebody else are told apart', async () => {
    const opened = await bed({ start: false });
    const server = createServer().listen(opened.mqttsPort, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const taken = await failure(opened.node);
    expect(taken.failure).toBe('PORT_IN_USE');
    expect(taken.message).toBe(
      `Port ${opened.mqttsPort} for MQTT over TLS on 127.0.0.1 is in use by another program.`,
    );
    await new Promise((resolve) => server.close(resolve));

    writeFileSync(join(opened.dir, 'plain'), 'in the way');
    const blocked = await failure(
      new BrokerNode({ ...opened.options, dataDir: join(opened.dir, 'plain', 'broker') }),
    );
    expect(blocked.failure).toBe('STORAGE');
    expect(blocked.message).toMatch(/cannot be written/);

    const { config } = opened.options;
    const withoutKey = { ...config, tls: { ...config.tls, keyFile: opened.gateway.keyFile } };
    await expect(new BrokerNode({ ...opened.options, config: withoutKey }).start()).rejects.toThrow(
      /does not belong to/,
    );
    const noFile = { ...config, tls: { ...config.tls, certFile: join(opened.dir, 'absent.pem') } };
    await expect(new BrokerNode({ ...opened.options, config: noFile }).start()).rejects.toThrow(
      BrokerConfigError,
    );
    expect(processesOf(opened.options.dataDir)).toEqual([]);
  }, 60_000);

  test('quotes its log when RabbitMQ refuses to start', async () => {
    const opened = await bed({ start: false });
    // A database folder that cannot be used: a file is where RabbitMQ wants to make its own.
    mkdirSync(join(opened.options.dataDir, 'database'), { recursive: true });
    writeFileSync(join(opened.options.dataDir, 'database', 'postern@localhost'), 'in the way');
    const error = await failure(opened.node);
    expect(['STORAGE', 'EXITED']).toContain(error.failure);
    expect(error.logLines.length).toBeGreaterThan(0);
    expect(error.message).toContain(error.logLines[0]);
    expect(error.message).toContain('log/broker.log');
    expect(processesOf(opened.options.dataDir)).toEqual([]);
  }, 120_000);

  test('runs as an ordinary user', async (context) => {
    if (process.getuid?.() !== 0) return context.skip('this test run is an ordinary user already');
    const opened = await bed({ start: false });
    const nobody = Number(execFileSync('id', ['-u', 'nobody'], { encoding: 'utf8' }));
    chmodSync(opened.dir, 0o755);
    execFileSync('chown', ['-R', String(nobody), join(opened.dir, 'pki')]);
    mkdirSync(opened.options.dataDir, { mode: 0o700 });
    chownSync(opened.options.dataDir, nobody, nobody);
    const out = await launcherSays(opened, opened.options.config, nobody);
    expect(out).toMatch(/ready/);
    expect(out).toMatch(/stopped/);
    expect(statSync(join(opened.options.dataDir, 'log', 'broker.log')).uid).toBe(nobody);
  }, 120_000);
});

/** Runs the launcher in a process of its own until it is ready or fails, stops it, and returns what it said. */
function launcherSays(bed: Bed, config: unknown, uid?: number): Promise<string> {
  return new Promise((resolve) => {
    const home = bed.home;
    const env = { ...process.env, LAUNCH: JSON.stringify({ home, ...bed.options, config }), STOP: '1' };
    const options = { env, ...(uid !== undefined && { uid, gid: uid }), timeout: 110_000 };
    execFile(process.execPath, [LAUNCHER], options, (_error, stdout, stderr) => resolve(stdout + stderr));
  });
}

/** Processes whose arguments or environment name the folder. */
function processesOf(dataDir: string): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) => {
      try {
        const text = readFileSync(`/proc/${pid}/environ`, 'utf8');
        return text.includes(`HOME=${dataDir}/home`) && isAlive(Number(pid));
      } catch {
        return false;
      }
    });
}
