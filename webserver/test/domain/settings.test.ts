import { describe, expect, it } from 'vitest';
import { ConfigError, describeSettings, httpConfig, loadSettings } from '../../src/config.js';

const problems = (env: Record<string, string>): string => {
  try {
    loadSettings(env);
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
  return '';
};

describe('settings', () => {
  it('have defaults for all that must be there', () => {
    const settings = loadSettings({});
    expect(settings).toMatchObject({ POSTERN_HTTPS_PORT: 8443, POSTERN_SIGNUP: 'open' });
    expect(httpConfig(settings)).toMatchObject({
      publicUrl: 'https://localhost:8443',
      broker: { host: 'localhost', mqttsPort: 8883, amqpsPort: 5671 },
      loginRatePerMinute: 20,
      trustProxy: false,
    });
  });

  it('take an empty value as not set, and leave what is not theirs alone', () => {
    expect(loadSettings({ POSTERN_HTTPS_PORT: '', POSTERN_RABBITMQ_HOME: '/x' }).POSTERN_HTTPS_PORT).toBe(
      8443,
    );
  });

  it('say all that is wrong at once, and what would be right', () => {
    const message = problems({
      POSTERN_HTTPS_PORT: '99999',
      POSTERN_SIGNUP: 'maybe',
      POSTERN_LOGIN_RATE: 'x',
    });
    expect(message).toContain('POSTERN_HTTPS_PORT must be 0 to 65535');
    expect(message).toContain('POSTERN_SIGNUP must be "open" or "closed"');
    expect(message).toContain('POSTERN_LOGIN_RATE must be a number');
  });

  it.each([
    [{ POSTERN_HTTPS_CERT_FILE: 'c.pem' }, 'POSTERN_HTTPS_KEY_FILE must be set'],
    [{ POSTERN_MONGODB_CA_FILE: 'c.pem' }, 'POSTERN_MONGODB_CA_FILE has no effect'],
    [{ POSTERN_HEADERS_TIMEOUT_SECONDS: '60' }, 'must not be more than POSTERN_REQUEST_TIMEOUT_SECONDS'],
    [{ POSTERN_KEEP_ALIVE_SECONDS: '5' }, 'must be 75 to 3600'],
    [{ POSTERN_PUBLIC_URL: 'http://x' }, 'must be a URL that begins with https://'],
    [{ POSTERN_TRUST_PROXY: 'everybody' }, 'must be "off"'],
    [{ POSTERN_SCRYPT_COST: '14' }, 'must be 15 to 18'],
  ])('refuse %j', (env, said) => {
    expect(problems(env as Record<string, string>)).toContain(said);
  });

  it.each([
    ['off', false],
    ['2', 2],
    ['loopback, 10.0.0.0/8', ['loopback', '10.0.0.0/8']],
  ])('read POSTERN_TRUST_PROXY=%s', (text, value) => {
    expect(loadSettings({ POSTERN_TRUST_PROXY: text }).POSTERN_TRUST_PROXY).toEqual(value);
  });

  it('describe themselves, each one', () => {
    const described = describeSettings();
    expect(described.length).toBeGreaterThan(20);
    for (const { name, description } of described) {
      expect(name).toMatch(/^POSTERN_[A-Z_]+$/);
      expect(description.length).toBeGreaterThan(10);
    }
    expect(described.find(({ name }) => name === 'POSTERN_HTTPS_PORT')?.default).toBe('8443');
    expect(described.find(({ name }) => name === 'POSTERN_TRUST_PROXY')?.default).toBe('off');
  });
});
