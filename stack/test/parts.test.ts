import { rmSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { spawn } from 'node:child_process';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LONGEST_DELAY_MS, restartDelayMs } from '../dist/backoff.js';
import { Keeper, type Running } from '../dist/keeper.js';
import { takeLock } from '../dist/lock.js';
import { LogFile } from '../dist/log-file.js';
import { SealedFile, secretFile } from '../dist/secrets.js';
import { openDataFolder } from '../dist/data-folder.js';
import { temporaryFolder, until } from './support/supervisor.js';

let home: string;
beforeEach(() => {
  home = temporaryFolder();
});
afterEach(() => rmSync(home, { recursive: true }));

describe('the lock of a data folder', () => {
  it('is one supervisor’s until it lets go', () => {
    const lock = takeLock(home);
    expect(() => takeLock(home)).toThrow(`(process ${process.pid})`);
    lock.release();
    takeLock(home).release();
  });

  it('is taken over from a process that ended, and from one that has its number by chance', async () => {
    const child = spawn('true');
    await new Promise((resolve) => child.once('exit', resolve));
    writeFileSync(`${home}/supervisor.lock`, JSON.stringify({ pid: child.pid, start: 'x' }));
    takeLock(home).release();
    // Alive, but not since the time that the lock names.
    writeFileSync(`${home}/supervisor.lock`, JSON.stringify({ pid: process.pid, start: 'boot:1' }));
    takeLock(home).release();
    writeFileSync(`${home}/supervisor.lock`, '{"pid":');
    takeLock(home).release();
  });
});

describe('a log', () => {
  it('is bounded, keeps one old file, and takes lines on after it was cut', () => {
    const log = new LogFile(`${home}/x.log`, 100);
    writeSync(log.fd, `${'a'.repeat(60)}\n`);
    log.rotateIfLarge();
    expect(statSync(`${home}/x.log`).size).toBe(61);
    writeSync(log.fd, `${'b'.repeat(60)}\n`);
    log.rotateIfLarge();
    expect(statSync(`${home}/x.log`).size).toBe(0);
    expect(statSync(`${home}/x.log.1`).size).toBe(122);
    writeSync(log.fd, 'after\n');
    expect(log.lastLines(3)).toEqual(['after']);
    expect(statSync(`${home}/x.log`).size).toBe(6);
    log.close();
  });

  it('shows only what was written since a part was started', () => {
    const log = new LogFile(`${home}/x.log`);
    writeSync(log.fd, 'of the start before\n');
    log.mark();
    expect(log.lastLines(5)).toEqual([]);
    writeSync(log.fd, 'one\n\ntwo\nthree\n');
    expect(log.lastLines(2)).toEqual(['two', 'three']);
    log.close();
  });
});

describe('the pause before a new start', () => {
  it('doubles up to its bound, and is half chance', () => {
    expect([0, 1, 2].map((attempt) => restartDelayMs(attempt, () => 1))).toEqual([250, 500, 1000]);
    expect(restartDelayMs(0, () => 0)).toBe(125);
    expect(restartDelayMs(1_000, () => 1)).toBe(LONGEST_DELAY_MS);
  });
});

describe('a keeper', () => {
  const part = (): { running: Running; end: (how: string) => void } => {
    let end: (how: string) => void = () => undefined;
    const ended = new Promise<string>((resolve) => (end = resolve));
    return { running: { pid: null, ended, stop: async () => end('stopped') }, end };
  };

  it('starts a part again until it comes up, says so, and ends in the middle of a pause', async () => {
    const said: string[] = [];
    const first = part();
    const outcomes: (() => Promise<Running>)[] = [
      () => Promise.resolve(first.running),
      () => Promise.reject(new Error('no memory')),
      () => Promise.resolve(second.running),
    ];
    const second = part();
    let restarts = 0;
    const keeper = new Keeper({
      name: 'the part',
      start: () => outcomes.shift()!(),
      say: (text) => said.push(text),
      onRestart: () => restarts++,
    });
    await keeper.up();
    first.end('SIGKILL');
    await until(() => said.includes('The part is back.'), 'the second start');
    expect(said[0]).toMatch(/^The part ended \(SIGKILL\)\. Starting it again in 0\.[12] s\.$/);
    expect(said[1]).toMatch(/^The part did not come back: no memory\. Starting it again in 0\.[2-5] s\.$/);
    expect(restarts).toBe(1);
    second.end('exit code 1');
    await until(() => said.length === 4, 'the pause');
    await keeper.stop(new AbortController().signal);
    expect(said).toHaveLength(4);
  });
});

describe('secrets', () => {
  it('are made once, and a damaged one is refused', () => {
    const folder = openDataFolder(`${home}/data`);
    const path = secretFile(folder, 'x.key');
    const { mtimeMs, mode } = statSync(path);
    expect(mode & 0o777).toBe(0o600);
    expect(secretFile(folder, 'x.key')).toBe(path);
    expect(statSync(path).mtimeMs).toBe(mtimeMs);
    writeFileSync(path, 'short');
    expect(() => secretFile(folder, 'x.key')).toThrow(`The key ${path} is damaged`);
  });

  it('that are sealed open with their key alone', () => {
    const folder = openDataFolder(`${home}/data`);
    const [one, other] = [secretFile(folder, 'one'), secretFile(folder, 'other')];
    const sealed = new SealedFile({ path: folder.at('sealed'), keyPath: one });
    expect(sealed.read()).toBeNull();
    sealed.write('open sesame');
    expect(sealed.read()).toBe('open sesame');
    expect(() => new SealedFile({ path: folder.at('sealed'), keyPath: other }).read()).toThrow('is damaged');
  });
});
