import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { LoadReport } from '../load.js';
import { Samples } from '../stats.js';

const run = promisify(execFile);
const TIMEOUT_MS = 15_000;

/** Runs a command again and again, one process a call; `make` gives its arguments and what it must print. */
export async function commandLoop(
  times: number,
  file: string,
  make: (index: number) => { args: string[]; expected: string },
): Promise<LoadReport> {
  const samples = new Samples();
  const failures: Record<string, number> = {};
  let lost = 0;
  let crossed = 0;
  const beganAt = performance.now();
  for (let index = 0; index < times; index++) {
    const { args, expected } = make(index);
    const startedAt = performance.now();
    try {
      const { stdout } = await run(file, args, { timeout: TIMEOUT_MS });
      if (stdout.trim() === expected) samples.push(performance.now() - startedAt);
      else crossed += 1;
    } catch (error) {
      lost += 1;
      const why = `exit ${(error as { code?: number }).code}`;
      failures[why] = (failures[why] ?? 0) + 1;
    }
  }
  const seconds = (performance.now() - beganAt) / 1000;
  return {
    answered: samples.size,
    seconds,
    perSecond: samples.size / seconds,
    latency: samples.latency(),
    lost,
    crossed,
    failures,
    total: times,
    generatorCpu: 0,
  };
}
