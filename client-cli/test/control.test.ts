import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { World } from './support/world.js';

let world: World;
beforeAll(async () => {
  world = await World.make();
  await world.login();
  world.gateway.addDevice('demo', 'lamp');
  world.gateway.addDevice('demo', 'attic', false);
  world.gateway.addDevice('demo', 'my lamp + 1:a@b');
});
afterAll(() => world.dispose());
beforeEach(() => {
  world.gateway.seen.length = 0;
  world.gateway.faults.length = 0;
});

const postern = (...args: string[]) => world.shell.run(args);

describe('device control', () => {
  it('sets a pin and reads it back as a bare value', async () => {
    expect(await postern('gpio', 'set', 'lamp', '12', '1')).toEqual({
      code: 0,
      stdout: 'lamp: pin 12 is 1\n',
      stderr: '',
    });
    expect(await postern('gpio', 'get', 'lamp', '12')).toEqual({ code: 0, stdout: '1\n', stderr: '' });
    const { stdout } = await postern('gpio', 'get', 'lamp', '12', '--json');
    expect(JSON.parse(stdout)).toEqual({ number: 12, value: 1 });
  });

  it('sets the clock by epoch, by ISO time with a zone, and to now, and prints both forms', async () => {
    expect((await postern('rtc', 'set', 'lamp', '1561700000')).stdout).toBe(
      'lamp: clock is 1561700000  2019-06-28T05:33:20Z\n',
    );
    expect((await postern('rtc', 'set', 'lamp', '2019-06-28T07:33:21+02:00')).code).toBe(0);
    expect((await postern('rtc', 'get', 'lamp')).stdout).toBe('1561700001  2019-06-28T05:33:21Z\n');
    const before = Math.floor(Date.now() / 1000);
    const { stdout } = await postern('rtc', 'set', 'lamp', 'now', '--json');
    const { value, iso } = JSON.parse(stdout) as { value: number; iso: string };
    expect(value).toBeGreaterThanOrEqual(before);
    expect(value).toBeLessThanOrEqual(Math.ceil(Date.now() / 1000) + 1);
    expect(Date.parse(iso)).toBe(value * 1000);
  });

  it.each([
    ['a time without a zone', ['rtc', 'set', 'lamp', '2019-06-28T07:33:21'], 'with its zone'],
    ['milliseconds', ['rtc', 'set', 'lamp', '1561700000000'], 'looks like milliseconds'],
    ['a pin that no FT900 has', ['gpio', 'get', 'lamp', '67'], '0 to 66'],
    ['a value that is no bit', ['gpio', 'set', 'lamp', '1', '2'], '0 or 1'],
    ['a MAC address of five bytes', ['mac', 'set', 'lamp', '02:00:00:12:34'], 'six pairs of hex digits'],
    ['a request that is an array', ['call', 'lamp', 'blink', '[1]'], 'must be a JSON object'],
    ['a request that is no JSON', ['call', 'lamp', 'blink', '{number:1}'], 'not valid JSON'],
    ['a method in capitals', ['call', 'lamp', 'Blink'], 'a-z'],
    ['a name that no device can have', ['gpio', 'get', '../x', '1'], 'letter or digit'],
    ['a time to wait without sense', ['gpio', 'get', 'lamp', '1', '--timeout', 'soon'], '500ms, 5s'],
    ['a time to wait beyond the limit', ['gpio', 'get', 'lamp', '1', '--timeout', '6m'], '100 ms to 300 s'],
    ['UART data over the limit', ['uart', 'write', 'lamp', 'x'.repeat(1025)], '1024 bytes'],
    ['an option that is not there', ['gpio', 'get', 'lamp', '1', '--fast'], 'Unknown option'],
    ['a command that is not there', ['gpoi', 'get'], "Unknown command 'gpoi'"],
  ])('refuses %s before the gateway is asked', async (_what, args, says) => {
    const { code, stdout, stderr } = await postern(...args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(says);
    expect(world.gateway.seen).toEqual([]);
  });

  it('shows the network, reads and sets the MAC address, asks for the status, restarts', async () => {
    expect((await postern('net', 'show', 'lamp')).stdout).toBe(
      'ip       192.168.1.7\nsubnet   255.255.255.0\ngateway  192.168.1.1\nmac      02:00:00:12:34:56\n',
    );
    expect((await postern('mac', 'set', 'lamp', '02:00:00:00:00:01')).stdout).toBe(
      'lamp: MAC address is 02:00:00:00:00:01\n',
    );
    expect((await postern('mac', 'get', 'lamp')).stdout).toBe('02:00:00:00:00:01\n');
    expect((await postern('device', 'status', 'lamp')).stdout).toBe('running\n');
    expect((await postern('device', 'reset', 'lamp')).stdout).toBe('lamp: restarting\n');
  });

  it('writes to the UART from an argument, from stdin, and bytes as base64', async () => {
    expect((await postern('uart', 'write', 'lamp', 'Grüße')).stdout).toBe('lamp: 7 bytes written\n');
    await world.shell.run(['uart', 'write', 'lamp'], { stdin: 'two\nlines\n' });
    await world.shell.run(['uart', 'write', 'lamp', '--base64'], { stdin: 'AP+A\nAQ==\n' });
    expect(world.gateway.seen.map(({ body }) => body)).toEqual([
      { data: 'Grüße' },
      { data: 'two\nlines\n' },
      { data: 'AP+AAQ==', encoding: 'base64' },
    ]);
    const binary = await world.shell.run(['uart', 'write', 'lamp'], { stdin: Buffer.from([0xff, 0xfe]) });
    expect(binary.code).toBe(2);
    expect(binary.stderr).toContain('--base64');
  });

  it('calls any method with an object from the command line or stdin and prints the reply', async () => {
    const { stdout } = await postern('call', 'lamp', 'blink', '{"times":3}', '--timeout', '2s');
    expect(JSON.parse(stdout)).toEqual({ method: 'blink', got: { times: 3 } });
    expect(world.gateway.seen[0]?.path).toBe('/api/v1/devices/lamp/methods/blink?timeoutMs=2000');
    const piped = await world.shell.run(['call', 'lamp', 'blink', '-'], { stdin: '{"times":4}' });
    expect(JSON.parse(piped.stdout)).toMatchObject({ got: { times: 4 } });
  });

  it('encodes names into the path', async () => {
    expect((await postern('gpio', 'get', 'my lamp + 1:a@b', '3')).stdout).toBe('0\n');
    expect(world.gateway.seen[0]?.path).toBe(
      '/api/v1/devices/my%20lamp%20%2B%201%3Aa%40b/gpio/3?timeoutMs=5000',
    );
  });

  it('makes what a device says harmless to a terminal', async () => {
    world.gateway.faults.push((_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ value: '\u001b]0;owned\u0007\u009b2J' }));
      return true;
    });
    expect((await postern('mac', 'get', 'lamp')).stdout).toBe('\\u001b]0;owned\\u0007\\u009b2J\n');
  });
});

describe('what goes wrong', () => {
  it.each([
    ['DEVICE_OFFLINE', 5, 'postern device show lamp'],
    ['DEVICE_TIMEOUT', 6, '--timeout'],
    ['DEVICE_BAD_REPLY', 7, 'The device said: {"number":12}'],
    ['DEVICE_ERROR', 7, 'The device said BROKEN: no such pin'],
    ['DEVICE_NOT_FOUND', 4, 'postern device register lamp'],
    ['DEVICE_BUSY', 10, 'Try again in 7 s'],
    ['BROKER_UNAVAILABLE', 8, 'Try again'],
    ['IDEMPOTENCY_OUTCOME_UNKNOWN', 9, 'outcome is not known'],
    ['FORBIDDEN', 3, 'may not'],
    ['INTERNAL', 1, 'req-test'],
    ['VALIDATION_FAILED', 2, 'body.value: must be 0 or 1'],
  ] as const)('%s ends with exit code %i and says what to do', async (code, exit, says) => {
    world.gateway.failNext(code, {
      headers: code === 'DEVICE_BUSY' ? { 'retry-after': '7' } : {},
      extra: {
        DEVICE_ERROR: { deviceError: { code: 'BROKEN', message: 'no such pin' } },
        DEVICE_BAD_REPLY: { reply: '{"number":12}' },
        VALIDATION_FAILED: { errors: [{ path: 'body.value', message: 'must be 0 or 1' }] },
      }[code as string],
    });
    const result = await postern('gpio', 'set', 'lamp', '12', '1');
    expect(result).toMatchObject({ code: exit, stdout: '' });
    expect(result.stderr).toContain(says);
  });

  it('is JSON on stderr with --json', async () => {
    const { code, stdout, stderr } = await postern('gpio', 'get', 'attic', '1', '--json');
    expect({ code, stdout }).toEqual({ code: 5, stdout: '' });
    expect(JSON.parse(stderr)).toEqual({
      error: {
        code: 'DEVICE_OFFLINE',
        message: 'attic is not connected.',
        hints: [expect.stringContaining('postern device show attic')],
        exitCode: 5,
        status: 503,
        requestId: 'req-test',
      },
    });
    const usage = await postern('gpio', 'get', '--json');
    expect(JSON.parse(usage.stderr)).toMatchObject({ error: { code: 'USAGE', exitCode: 2 } });
  });

  it('is an unexpected answer, not a crash, where something else than a gateway answers', async () => {
    world.gateway.faults.push((_request, response) => {
      response.end('<html>It works!</html>');
      return true;
    });
    const { code, stderr } = await postern('gpio', 'get', 'lamp', '1');
    expect(code).toBe(8);
    expect(stderr).toContain('is not what this command knows');
  });

  it('names calls, times and request ids with --verbose, and never a token', async () => {
    const { stderr } = await postern('gpio', 'get', 'lamp', '1', '--verbose');
    expect(stderr).toMatch(
      /^# GET https:\/\/localhost:\d+\/api\/v1\/devices\/lamp\/gpio\/1\?timeoutMs=5000: 200, request req-test, \d+ ms\n$/,
    );
    for (const { access, refresh } of world.gateway.logins)
      for (const token of [...access, refresh]) expect(stderr).not.toContain(token);
  });
});

describe('a connection that breaks before the answer', () => {
  const breakOff = (): void => {
    world.gateway.faults.push((request) => {
      request.socket.destroy();
      return true;
    });
  };

  it('is tried once more under the same Idempotency-Key', async () => {
    breakOff();
    expect((await postern('gpio', 'set', 'lamp', '5', '1')).code).toBe(0);
    const keys = world.gateway.seen.map(({ idempotencyKey }) => idempotencyKey);
    expect(keys).toHaveLength(2);
    expect(keys[0]).toMatch(/^[0-9a-f-]{36}$/);
    expect(keys[1]).toBe(keys[0]);
  });

  it('ends the command where it breaks again', async () => {
    breakOff();
    breakOff();
    const { code, stderr } = await postern('gpio', 'set', 'lamp', '5', '1');
    expect(code).toBe(8);
    expect(stderr).toContain('broke before the answer');
    expect(world.gateway.seen).toHaveLength(2);
  });

  it('gives each command a key of its own', async () => {
    await postern('gpio', 'set', 'lamp', '5', '1');
    await postern('gpio', 'set', 'lamp', '5', '1');
    expect(new Set(world.gateway.seen.map(({ idempotencyKey }) => idempotencyKey)).size).toBe(2);
  });
});
