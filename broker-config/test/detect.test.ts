import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { BrokerNotFoundError, BrokerUnusableError, detectBroker } from '@postern/broker-config';
import { testBrokers } from './support/bed.js';

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'broker-detect-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const release = (name: string, version: string): string => {
  const home = join(dir, name);
  mkdirSync(join(home, 'sbin'), { recursive: true });
  mkdirSync(join(home, 'plugins', `rabbit-${version}`), { recursive: true });
  writeFileSync(join(home, 'sbin', 'rabbitmq-server'), '#!/bin/sh\n');
  return home;
};

test.each(await testBrokers())('finds $label in its folder', async ({ home, label }) => {
  const found = await detectBroker(home);
  expect(`RabbitMQ ${found.version.text}`).toBe(label);
  expect(found.sbin.endsWith('/sbin')).toBe(true);
});

test('takes a release by its own folder and by the one around it, the newest first', async () => {
  release('many/rabbitmq_server-3.13.7', '3.13.7');
  const newest = release('many/rabbitmq_server-4.1.0', '4.1.0');
  expect(await detectBroker(join(dir, 'many'))).toMatchObject({ home: newest, runner: { kind: 'direct' } });
  expect((await detectBroker(`${newest}/`)).version.text).toBe('4.1.0');
});

test('says how to get one when there is none', async () => {
  mkdirSync(join(dir, 'empty'));
  const missing = detectBroker(join(dir, 'empty'));
  await expect(missing).rejects.toBeInstanceOf(BrokerNotFoundError);
  await expect(missing).rejects.toThrow(/no RabbitMQ in .*apt-get install rabbitmq-server.*make broker-4/s);
  await expect(detectBroker('relative/path')).rejects.toThrow(/absolute/);
});

test('refuses a release that is too old', async () => {
  await expect(detectBroker(release('old', '3.8.9'))).rejects.toBeInstanceOf(BrokerUnusableError);
});

test('takes a whole system for one, also when named by the release inside', async () => {
  const inside = release('root/usr/lib/rabbitmq/lib/rabbitmq_server-4.0.5', '4.0.5');
  mkdirSync(join(dir, 'root/usr/lib/erlang'), { recursive: true });
  mkdirSync(join(dir, 'root/etc'), { recursive: true });
  for (const home of [inside, join(dir, 'root')]) {
    expect(await detectBroker(home)).toMatchObject({
      home: '/usr/lib/rabbitmq/lib/rabbitmq_server-4.0.5',
      runner: { kind: 'rooted', root: join(dir, 'root') },
    });
  }
});
