import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import {
  BrokerConfigError,
  brokerCapabilities,
  renderBrokerConfig,
  type BrokerConfigOptions,
} from '@postern/broker-config';

const options = (version = '4.0.5'): BrokerConfigOptions => ({
  version,
  tls: { caFile: '/pki/ca.pem', certFile: '/pki/broker.pem', keyFile: '/pki/broker.key', crlDir: '/pki/crl' },
  mqtts: {},
  amqps: {},
  management: { port: 15_000 },
  authBackend: {
    url: 'https://127.0.0.1:9000/broker/',
    tls: { caFile: '/pki/ca.pem', certFile: '/pki/client.pem', keyFile: '/pki/client.key' },
  },
});
const render = (changes: Partial<BrokerConfigOptions> = {}) =>
  renderBrokerConfig({ ...options(changes.version), ...changes }, '/data/config').files;
const settings = (conf: string): Record<string, string> =>
  Object.fromEntries(
    conf
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map((line) => line.split(' = ') as [string, string]),
  );

describe('rabbitmq.conf', () => {
  test.each(['3.10.8', '3.13.7', '4.0.5', '4.1.2', '4.2.0'])('of %s opens TLS ports alone', (version) => {
    const conf = settings(render({ version })['rabbitmq.conf']);
    expect(conf).toMatchObject({
      'listeners.tcp': 'none',
      'listeners.ssl.1': '0.0.0.0:5671',
      'mqtt.listeners.tcp': 'none',
      'mqtt.listeners.ssl.1': '0.0.0.0:8883',
      'management.tcp.ip': '127.0.0.1',
      'auth_mechanisms.1': 'EXTERNAL',
      'mqtt.allow_anonymous': 'false',
      'auth_http.http_method': 'post',
      'auth_http.user_path': 'https://127.0.0.1:9000/broker/user',
    });
    expect(Object.keys(conf).filter((key) => key.startsWith('auth_mechanisms'))).toEqual([
      'auth_mechanisms.1',
    ]);
  });

  test('binds the client id to the certificate where the release can', () => {
    const key = 'mqtt.ssl_cert_client_id_from';
    expect(settings(render({ version: '3.10.8' })['rabbitmq.conf'])).not.toHaveProperty([key]);
    expect(settings(render({ version: '4.0.5' })['rabbitmq.conf'])).toHaveProperty(
      [key],
      'subject_alternative_name',
    );
  });

  test('keeps sessions equally long in the old spelling and the new one', () => {
    const limits = { sessionExpirySeconds: 60 };
    expect(settings(render({ version: '3.10.8', limits })['rabbitmq.conf'])['mqtt.subscription_ttl']).toBe(
      '60000',
    );
    expect(
      settings(render({ version: '3.13.7', limits })['rabbitmq.conf'])[
        'mqtt.max_session_expiry_interval_seconds'
      ],
    ).toBe('60');
  });
});

describe('advanced.config', () => {
  test('quotes what Erlang would read otherwise', () => {
    const tls = { caFile: '/a "b"\\c', certFile: '/schlüssel.pem', keyFile: '/k', crlDir: '/crl' };
    const text = render({ tls })['advanced.config'];
    expect(text).toContain('{cacertfile, "/a \\"b\\"\\\\c"}');
    expect(text).toContain('{certfile, "/schl\\x{fc}ssel.pem"}');
  });

  test('checks revocation where a CRL folder is given', () => {
    expect(render()['advanced.config']).toContain('{crl_check, peer}');
    const { crlDir: _none, ...tls } = options().tls;
    expect(render({ tls })['advanced.config']).not.toContain('crl_check');
  });
});

test('definitions.json is JSON, without a user', () => {
  const definitions = JSON.parse(render()['definitions.json']) as { users: unknown[]; vhosts: unknown[] };
  expect(definitions.users).toEqual([]);
  expect(definitions.vhosts).toEqual([{ name: '/' }]);
});

test.each<[string, Partial<BrokerConfigOptions>, RegExp]>([
  ['a release that is too old', { version: '3.9.1' }, /older than 3\.10/],
  ['no version', { version: 'latest' }, /looks like/],
  ['plain http', { authBackend: { ...options().authBackend, url: 'http://127.0.0.1:9000' } }, /https/],
  [
    'a password in the URL',
    { authBackend: { ...options().authBackend, url: 'https://a:b@127.0.0.1:9000' } },
    /credentials/,
  ],
  ['a URL without a port', { authBackend: { ...options().authBackend, url: 'https://127.0.0.1' } }, /port/],
  [
    'a relative path',
    { tls: { ...options().tls, keyFile: 'broker.key' } },
    /tls\.keyFile: must be an absolute/,
  ],
  ['a line break in a path', { tls: { ...options().tls, keyFile: '/a\n/b' } }, /control characters/],
  ['a host name to bind', { mqtts: { address: 'localhost' } }, /mqtts\.address/],
  ['one port twice', { mqtts: { port: 5671 } }, /must differ/],
  ['a limit out of bounds', { limits: { heartbeatSeconds: -1 } }, /limits\.heartbeatSeconds/],
  ['an unknown option', { surprise: true } as never, /surprise/],
])('refuses %s and says what would be right', (_name, changes, message) => {
  expect(() => render(changes)).toThrow(BrokerConfigError);
  expect(() => render(changes)).toThrow(message);
});

test('refuses a folder that rabbitmq.conf cannot name', () => {
  expect(() => renderBrokerConfig(options(), '/data #1/config')).toThrow(/choose a folder/);
});

test('the README has the table of capabilities, as the start-up log tells them', () => {
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8').replace(/\s+/g, ' ');
  for (const { title, note } of brokerCapabilities('3.10.8')) expect(readme).toContain(`${title} | ${note}`);
});

test('each capability is told for each release, with a note where something is missing', () => {
  const releases = ['3.10.8', '3.13.7', '4.0.5', '4.2.4'];
  const ids = releases.map((release) => brokerCapabilities(release).map(({ id }) => id));
  expect(new Set(ids.map((list) => list.join()))).toHaveProperty('size', 1);
  for (const release of releases) {
    for (const { supported, note, id } of brokerCapabilities(release)) {
      expect(supported === 'yes' || note.length > 0, `${release} ${id}`).toBe(true);
    }
  }
  const of = (release: string, id: string) =>
    brokerCapabilities(release).find((entry) => entry.id === id)?.supported;
  expect(of('3.10.8', 'mqtt5')).toBe('no');
  expect(of('4.0.5', 'mqtt5')).toBe('yes');
});
