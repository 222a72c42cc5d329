import { X509Certificate } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ApiUser, type Client } from '../../e2e/support/http.js';
import { Stack } from '../../e2e/support/stack.js';
import { until } from '../../e2e/support/wait.js';
import { changed, TAG } from './support/block.js';
import { Board, type Kind } from './support/board.js';
import { Network } from './support/network.js';
import { Postern } from './support/postern.js';

/** mbedTLS: the certificate could not be verified. */
const NOT_VERIFIED = /TLS did not come about, error -0x2700/;

let stack: Stack;
let client: Client;
let folder: string;
let postern: Postern;
let user: ApiUser;

beforeAll(async () => {
  stack = await Stack.start();
  client = stack.client();
  folder = mkdtempSync(join(tmpdir(), 'postern-firmware-'));
  user = await ApiUser.signUp(client);
  postern = new Postern(join(folder, 'credentials'), folder);
  await postern.json(
    [
      'login',
      '--gateway',
      stack.facts.url,
      '--ca',
      stack.facts.caFile,
      '--username',
      user.username,
      '--password-stdin',
    ],
    `${user.password}\n`,
  );
});
afterAll(async () => {
  client?.close();
  await stack?.stop();
  if (folder) rmSync(folder, { recursive: true, force: true });
});

const connected = async (name: string): Promise<boolean> =>
  (await user.call('GET', `devices/${name}`)).json.presence.connected as boolean;

describe.each<{ kind: Kind; name: string }>([
  { kind: 'the Linux build', name: 'linux' },
  { kind: 'the FT900 image on the simulator', name: 'ft900' },
])('$kind', ({ kind, name }) => {
  let network: Network;
  let board: Board;
  let block: Buffer;
  let home: string;

  beforeAll(async () => {
    network = await Network.open(stack.facts.ports.mqtts);
    home = join(folder, name);
    await postern.json(['device', 'register', name, '--firmware', 'ft900', '--out', home]);
    block = readFileSync(join(home, 'config.bin'));
    board = new Board(kind, home, network.tap);
    board.provision(block);
    board.start();
  });
  afterAll(async () => {
    await board?.stop();
    await network?.close();
  });

  const online = async (since = 0): Promise<void> => {
    await board.says(/session: online/, since);
    await until('the gateway knows of it', () => connected(name), 30_000);
  };

  it('connects with what registration wrote, over DHCP, DNS and mutual TLS', async () => {
    await online();
    expect(await postern.json(['device', 'status', name])).toMatchObject({ status: 'running' });
  });

  it('sets the pin that postern gpio set asks for', async () => {
    const since = board.output.length;
    const before = performance.now();
    expect(await postern.json(['gpio', 'set', name, '12', '1'])).toMatchObject({ number: 12, value: 1 });
    const command = performance.now() - before;
    expect(await board.says(/gpio 12 output 1/, since)).toBe('gpio 12 output 1');
    expect(await postern.json(['gpio', 'get', name, '12'])).toMatchObject({ number: 12, value: 1 });
    const times: number[] = [];
    for (let i = 0; i < 21; i += 1) {
      const start = performance.now();
      const answer = await user.call('PUT', `devices/${name}/gpio/12`, { value: i % 2 });
      times.push(performance.now() - start);
      expect(answer.json).toMatchObject({ number: 12, value: i % 2 });
    }
    times.sort((a, b) => a - b);
    console.log(
      `${kind}: pin 12 is 1, ${command.toFixed(0)} ms after postern was started; ` +
        `HTTPS to the pin and back in ${times[10]!.toFixed(1)} ms (median of 21)`,
    );
  });

  it('answers every method', async () => {
    const call = async (method: string, body: object): Promise<unknown> =>
      postern.json(['call', name, method, JSON.stringify(body)]);
    expect(await call('get_status', {})).toMatchObject({ status: 'running' });
    expect(await call('set_rtc', { value: 1561700000 })).toMatchObject({ value: 1561700000 });
    const { value: clock } = (await call('get_rtc', {})) as { value: number };
    expect(clock).toBeGreaterThanOrEqual(1561700000);
    expect(clock).toBeLessThan(1561700120);
    expect(await call('set_rtc', { value: 4294967295 })).toMatchObject({ value: 4294967295 });
    expect(await postern.json(['rtc', 'set', name, 'now'])).toBeTruthy();
    const { value: now } = (await call('get_rtc', {})) as { value: number };
    expect(Math.abs(now - Date.now() / 1000)).toBeLessThan(60);
    expect(await call('set_mac', { value: '02:00:00:AB:CD:EF' })).toMatchObject({
      value: '02:00:00:ab:cd:ef',
    });
    expect(await call('get_mac', {})).toMatchObject({ value: '02:00:00:ab:cd:ef' });
    expect(await call('get_ip', {})).toMatchObject({ value: `${network.prefix}.10` });
    expect(await call('get_subnet', {})).toMatchObject({ value: '255.255.255.0' });
    expect(await call('get_gateway', {})).toMatchObject({ value: network.address });
    const text = 'Hello World! äöü € 😀';
    expect(await call('write_uart', { data: text })).toMatchObject({ data: text });
    const raw = Buffer.from([0, 255, 254, 128]);
    await call('write_uart', { data: raw.toString('base64'), encoding: 'base64' });
    const long = 'x'.repeat(1024);
    expect(await call('write_uart', { data: long })).toMatchObject({ data: long });
    await until('UART0 has sent it all', () =>
      board.uart().includes(Buffer.concat([Buffer.from(text), raw, Buffer.from(long)])),
    );
  });

  it('says what is wrong with a bad request', async () => {
    const unknown = await user.call('POST', `devices/${name}/methods/make_coffee`, {});
    expect(unknown.status).toBe(502);
    expect(unknown.text).toContain('METHOD_UNKNOWN');
    const taken =
      kind === 'the Linux build' ? null : await user.call('PUT', `devices/${name}/gpio/48`, { value: 1 });
    if (taken) expect(taken.text).toContain('FAILED'); // UART0's own pad
  });

  it('answers 32 calls at once, of small and of full size', async () => {
    for (const path of [(i: number) => `gpio/${i}`, () => 'uart']) {
      const answers = await Promise.all(
        Array.from({ length: 32 }, (_, i) =>
          path(i) === 'uart'
            ? user.call('POST', `devices/${name}/uart?timeoutMs=20000`, { data: 'y'.repeat(1000) })
            : user.call('GET', `devices/${name}/${path(i)}?timeoutMs=20000`),
        ),
      );
      expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 32 }, () => 200));
      if (path(0) !== 'uart')
        expect(answers.map(({ json }) => json.number)).toEqual(answers.map((_, i) => i));
    }
  });

  it('restarts when it is told to, and keeps its MAC address', async () => {
    const since = board.output.length;
    await postern.json(['device', 'reset', name]);
    await board.says(/restarting, the answer was acknowledged/, since);
    await online(since);
    expect(await postern.json(['call', name, 'get_mac', '{}'])).toMatchObject({ value: '02:00:00:ab:cd:ef' });
    expect(await postern.json(['gpio', 'get', name, '12'])).toMatchObject({ value: 0 });
  });

  it('comes back when the broker was killed', async () => {
    const since = board.output.length;
    const { pid } = stack.facts.broker;
    process.kill(pid, 'SIGKILL');
    await until('a new broker runs', () => stack.facts.broker.pid !== pid, 90_000);
    await board.says(/session: .*next attempt/, since);
    await board.says(/session: online/, since, 100_000);
    await until(
      'it answers',
      async () => (await user.call('GET', `devices/${name}/gpio/3`)).status === 200,
      60_000,
    );
  });

  it('comes back when the cable was out, under the address that DHCP gives it then', async () => {
    const since = board.output.length;
    network.plug(false);
    await board.says(/net: link down/, since);
    network.hostNumber = 77;
    network.plug(true);
    await board.says(/net: link up[^]*session: online/, since);
    await until(
      'it answers from its new address',
      async () => (await user.call('GET', `devices/${name}/ip`)).json?.value === `${network.prefix}.77`,
      60_000,
    );
  });

  it('notices a broker that is silent, and a connection that is half open', async () => {
    for (const [begin, end] of [
      [() => network.freeze(true), () => network.freeze(false)],
      [() => network.vanish(true), () => network.vanish(false)],
    ] as const) {
      const since = board.output.length;
      begin();
      try {
        await board.says(/session: .*next attempt/, since, 90_000);
      } finally {
        end();
      }
      await board.says(/session: online/, since, 100_000);
    }
    await until('it answers', async () => (await user.call('GET', `devices/${name}/gpio/3`)).status === 200, 60_000);
  }, 400_000);

  it('refuses a broker that is not of its CA, and one of another name', async () => {
    await board.stop();
    const pki = join(home, 'foreign');
    mkdirSync(pki, { recursive: true });
    execFileSync(
      'openssl',
      [
        'req',
        '-x509',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:P-256',
        '-nodes',
        '-days',
        '9',
        '-subj',
        '/CN=Foreign Root',
        '-keyout',
        join(pki, 'root.key'),
        '-out',
        join(pki, 'root.pem'),
      ],
      { stdio: 'ignore' },
    );
    const foreign = new X509Certificate(readFileSync(join(pki, 'root.pem'))).raw;
    for (const [tag, value] of [
      [TAG.ca, foreign],
      [TAG.host, Buffer.from('other.test')],
    ] as const) {
      const since = board.output.length;
      board.provision(changed(block, new Map([[tag, value]])));
      board.start();
      await board.says(NOT_VERIFIED, since);
      expect(board.output.slice(since)).not.toContain('session: online');
      await board.stop();
    }
    board.provision(block);
    const since = board.output.length;
    board.start();
    await online(since);
  });

  it('is put out when its certificate is revoked, and stays out', async () => {
    const since = board.output.length;
    await postern.json(['device', 'revoke', name]);
    await until('the gateway sees it leave', async () => !(await connected(name)), 30_000);
    await board.says(
      /session: (?:the broker does not admit this device|the connection was closed|TLS did not)/,
      since,
    );
    // Two more attempts: none gets in.
    await board.says(/(?:next attempt[^]*){3}/, since);
    expect(board.output.slice(since)).not.toContain('session: online');
    expect(await connected(name)).toBe(false);
  });
});
