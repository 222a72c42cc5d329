import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  clean,
  leftBehind,
  listening,
  SupervisorProcess,
  temporaryFolder,
  until,
} from './support/supervisor.js';

const RUN_MS = 240_000;

describe('an end at any moment', () => {
  let home: string;
  let runs: SupervisorProcess[];
  const start = (env: NodeJS.ProcessEnv = {}): SupervisorProcess => {
    const supervisor = new SupervisorProcess(home, { POSTERN_DEMO: '0', ...env });
    runs.push(supervisor);
    return supervisor;
  };
  beforeEach(() => {
    home = temporaryFolder();
    runs = [];
  });
  afterEach(() => clean(home, runs), RUN_MS);

  // From before the first line of ours runs, over the start of the gateway, to the middle of the broker's boot.
  it.each([20, 150, 400, 800, 1_500, 3_000])(
    'leaves nothing behind after Ctrl-C %i ms into the first start, and the next start works from there',
    async (moment) => {
      const supervisor = start();
      await delay(moment);
      const outcome = await supervisor.stop('SIGINT');
      // Before Node.js has read the first file, the signal ends it as it ends any program.
      expect([0, 'SIGINT']).toContain(outcome);
      expect(leftBehind(home)).toEqual([]);
    },
    RUN_MS,
  );

  it(
    'goes on, after an interruption in the middle of the first start, where that stopped',
    async () => {
      const first = start({ POSTERN_DEMO: '1' });
      await until(() => first.output.includes('Both are up'), 'broker and gateway', RUN_MS);
      first.signal('SIGKILL');
      await first.ended;
      const second = start({ POSTERN_DEMO: '1' });
      await second.ready();
      expect(second.lines(/^ {2}[A-Za-z0-9_-]{20}$/)).toHaveLength(1);
      expect(second.output).toContain('lamp: Connected');
    },
    RUN_MS,
  );

  it(
    'ends the parts when the supervisor itself is killed',
    async () => {
      const supervisor = start();
      const { ports } = await supervisor.ready();
      expect(leftBehind(home).length).toBeGreaterThan(0);
      supervisor.signal('SIGKILL');
      await supervisor.ended;
      await until(() => leftBehind(home).length === 0, 'the guard’s work');
      expect(listening(Object.values(ports))).toEqual([]);
    },
    RUN_MS,
  );

  it(
    'cleans up after a supervisor and a guard that were both killed',
    async () => {
      const first = start();
      const { gateways, broker } = await first.ready();
      // The guard is what carries the mark and is neither gateway nor broker.
      const guards = leftBehind(home)
        .map((line) => Number.parseInt(line, 10))
        .filter((pid) => isShellOrCat(leftBehind(home), pid));
      expect(guards.length).toBeGreaterThan(0);
      for (const pid of guards) process.kill(pid, 'SIGKILL');
      first.signal('SIGKILL');
      await first.ended;
      expect(leftBehind(home).some((line) => line.startsWith(`${broker.pid}:`))).toBe(true);
      const second = start({
        POSTERN_HTTPS_PORT: String(first.facts.ports.https),
        POSTERN_MQTTS_PORT: String(first.facts.ports.mqtts),
        POSTERN_AMQPS_PORT: String(first.facts.ports.amqps),
      });
      const facts = await second.ready();
      expect(second.output).toContain('Ended what an earlier run, which was killed, had left running.');
      expect(leftBehind(home).some((line) => line.startsWith(`${gateways[0]!.pid}:`))).toBe(false);
      expect(facts.ports).toEqual(first.facts.ports);
    },
    RUN_MS,
  );

  it(
    'kills at once what it is asked twice to end',
    async () => {
      const supervisor = start();
      await supervisor.ready();
      // A gateway that hangs would be waited for.
      process.kill(supervisor.facts.gateways[0]!.pid!, 'SIGSTOP');
      supervisor.signal('SIGINT');
      await until(() => supervisor.output.includes('Stopping.'), 'the first signal');
      // Sooner, the second one counts as the first one, sent on by `make`.
      await delay(2_000);
      const askedAgain = Date.now();
      await supervisor.stop('SIGINT');
      expect(Date.now() - askedAgain).toBeLessThan(8_000);
      expect(leftBehind(home)).toEqual([]);
    },
    RUN_MS,
  );
});

const isShellOrCat = (lines: readonly string[], pid: number): boolean =>
  lines.some((line) => line.startsWith(`${pid}: sh `) || line.startsWith(`${pid}: cat `));
