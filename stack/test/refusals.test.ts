import { chmodSync, chownSync, mkdirSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { clean, leftBehind, SupervisorProcess, temporaryFolder } from './support/supervisor.js';

const isRoot = process.getuid?.() === 0;
const NOBODY = 65_534;

describe('what keeps it from starting is said in one sentence', () => {
  let home: string;
  let runs: SupervisorProcess[];
  const refused = async (env: NodeJS.ProcessEnv): Promise<string> => {
    const supervisor = new SupervisorProcess(home, { POSTERN_DEMO: '0', ...env });
    runs.push(supervisor);
    expect(await supervisor.ended).toBe(1);
    expect(supervisor.output).not.toContain('    at ');
    expect(leftBehind(home)).toEqual([]);
    return supervisor.output;
  };
  beforeEach(() => {
    home = temporaryFolder();
    runs = [];
  });
  afterEach(() => clean(home, runs));

  describe('a port that is taken', () => {
    let server: Server;
    let port: number;
    beforeEach(async () => {
      server = createServer();
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      port = (server.address() as { port: number }).port;
    });
    afterEach(() => new Promise((resolve) => server.close(resolve)));

    it.each(['POSTERN_HTTPS_PORT', 'POSTERN_MQTTS_PORT', 'POSTERN_AMQPS_PORT'])('%s', async (variable) => {
      const output = await refused({ [variable]: String(port) });
      expect(output).toContain(`Port ${port} is taken`);
      expect(output).toContain(`choose another with ${variable}`);
      expect(output).toContain(`(process ${process.pid})`);
    });
  });

  it('one port for two things', async () => {
    const output = await refused({ POSTERN_HTTPS_PORT: '18443', POSTERN_MQTTS_PORT: '18443' });
    expect(output).toContain('POSTERN_HTTPS_PORT and POSTERN_MQTTS_PORT are both 18443');
  });

  it.each([
    ['POSTERN_HTTPS_PORT', '70000'],
    ['POSTERN_MQTTS_PORT', 'eight'],
    ['POSTERN_HOSTNAMES', 'a b/c'],
    ['POSTERN_BIND_ADDRESS', 'localhost'],
    ['POSTERN_MONGODB_URL', 'http://localhost'],
    ['POSTERN_DEMO', 'yes'],
    ['POSTERN_GATEWAYS', '0'],
  ])('%s=%s', async (variable, value) => {
    const output = await refused({ [variable]: value });
    expect(output).toContain(`${variable} is `);
    expect(output).toContain('it must');
  });

  it('an address that this machine has not', async () => {
    expect(await refused({ POSTERN_BIND_ADDRESS: '192.0.2.1', POSTERN_HTTPS_PORT: '18443' })).toContain(
      'POSTERN_BIND_ADDRESS is 192.0.2.1, which is no address of this machine',
    );
  });

  it('a data folder that is a file', async () => {
    writeFileSync(join(home, 'data'), '');
    expect(await refused({})).toContain('there is a file of this name');
  });

  it('a data folder below a place where nobody may write', async () => {
    const output = await refused({ POSTERN_DATA_DIR: '/sys/kernel/postern' });
    expect(output).toMatch(
      /\/sys\/kernel\/postern cannot be used: (permission denied|the file system is read-only)/,
    );
    expect(output).toContain('POSTERN_DATA_DIR');
  });

  it('a data folder of another user', async () => {
    if (isRoot) {
      mkdirSync(join(home, 'data'));
      chownSync(join(home, 'data'), NOBODY, NOBODY);
      expect(await refused({})).toContain(`it belongs to the user with the id ${NOBODY}`);
    } else {
      expect(await refused({ POSTERN_DATA_DIR: '/usr' })).toContain('it belongs to the user with the id 0');
    }
  });

  it.skipIf(isRoot)('a data folder that is read-only', async () => {
    mkdirSync(join(home, 'data'), { mode: 0o500 });
    chmodSync(join(home, 'data'), 0o500);
    expect(await refused({})).toContain('permission denied');
  });

  it('a broker that is not where POSTERN_RABBITMQ_HOME says', async () => {
    expect(await refused({ POSTERN_RABBITMQ_HOME: join(home, 'nowhere') })).toContain(
      'There is no RabbitMQ in',
    );
  });

  it('a setting that only the gateway knows: with the end of its log', async () => {
    const output = await refused({ POSTERN_LOG_LEVEL: 'loud' });
    expect(output).toContain('The gateway ended while it started');
    expect(output).toContain('POSTERN_LOG_LEVEL must be');
  }, 120_000);
});
