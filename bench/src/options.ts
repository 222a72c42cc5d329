import { parseArgs } from 'node:util';

export const PARTS = [
  'core',
  'open',
  'peers',
  'registration',
  'connects',
  'growth',
  'instances',
  'registry',
  'fleet',
] as const;
export type Part = (typeof PARTS)[number];

/** How long and how often, by mode. Times in ms. */
export interface Plan {
  mode: 'quick' | 'full';
  parts: readonly Part[];
  /** Of raw and Postern where a goal is read from them. */
  repetitions: number;
  /** Of the rest, peers included. */
  restRepetitions: number;
  warmupMs: number;
  /** Of the calls before all others, which nobody counts. */
  compileMs: number;
  /** Of one sequential run, and of one with many in flight. */
  sequentialMs: number;
  loadedMs: number;
  openMs: number;
  openRates: readonly number[];
  growthMs: number;
  /** Bytes of a call's body. */
  payloadBytes: number;
  registration: { ec: number; rsa: number; csr: number };
  connects: number;
  fleet: { devices: number; rate: number; minutes: number };
  growth: {
    devices: readonly number[];
    inFlight: readonly number[];
    payload: readonly number[];
    instances: readonly number[];
    registry: readonly number[];
  };
  /** Folder for results; null writes none. */
  resultsDir: string | null;
}

export const USAGE = `Usage: node bench/dist/main.js [options]

  --quick            one minute, to see that nothing broke
  --only <parts>     of ${PARTS.join(',')}
  --fleet            hold the fleet for 15 minutes (make bench-fleet)
  --minutes <n>      how long the fleet is held
  --fleet-devices <n>
  --repetitions <n>
  --results <dir>    default bench/results; "none" writes nothing`;

const FULL: Omit<Plan, 'resultsDir'> = {
  mode: 'full',
  // The fleet has a run of its own (--fleet).
  parts: PARTS.filter((part) => part !== 'fleet'),
  repetitions: 5,
  restRepetitions: 3,
  warmupMs: 500,
  compileMs: 10_000,
  sequentialMs: 2_500,
  loadedMs: 2_500,
  openMs: 2_500,
  openRates: [100, 500, 1_000],
  growthMs: 1_200,
  payloadBytes: 200,
  registration: { ec: 1_500, rsa: 60, csr: 1_000 },
  connects: 400,
  fleet: { devices: 5_000, rate: 500, minutes: 1 },
  growth: {
    devices: [1, 10, 100, 1_000],
    inFlight: [1, 4, 16, 64, 128, 256, 512],
    payload: [64, 256, 1_024, 4_096, 16_384, 65_000],
    instances: [1, 2, 3],
    registry: [10, 1_000, 100_000],
  },
};

const QUICK: Omit<Plan, 'resultsDir'> = {
  ...FULL,
  mode: 'quick',
  parts: ['core', 'open', 'registration'],
  repetitions: 2,
  restRepetitions: 2,
  warmupMs: 400,
  compileMs: 1_200,
  sequentialMs: 1_200,
  loadedMs: 1_200,
  openMs: 2_000,
  openRates: [300],
  registration: { ec: 300, rsa: 10, csr: 200 },
};

/** How long the fleet of the goal is held. */
const FLEET_MINUTES = 15;

/** @throws Error for an option that is wrong, with what would be right */
export function readOptions(args: readonly string[], defaultResults: string): Plan {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: 'boolean' },
      only: { type: 'string' },
      fleet: { type: 'boolean' },
      minutes: { type: 'string' },
      'fleet-devices': { type: 'string' },
      repetitions: { type: 'string' },
      results: { type: 'string' },
    },
  });
  const base = values.quick ? QUICK : FULL;
  const whole = (name: string, text: string | undefined, otherwise: number): number => {
    if (text === undefined) return otherwise;
    const value = Number(text);
    if (!Number.isInteger(value) || value < 1)
      throw new Error(`--${name} ${text}: it must be a whole number from 1`);
    return value;
  };
  const only = values.only?.split(',').map((name) => {
    const part = PARTS.find((known) => known === name);
    if (!part) throw new Error(`--only ${name}: it must be of ${PARTS.join(', ')}`);
    return part;
  });
  const repetitions = whole('repetitions', values.repetitions, base.repetitions);
  return {
    ...base,
    parts: only ?? (values.fleet ? ['fleet'] : base.parts),
    repetitions,
    restRepetitions: Math.min(base.restRepetitions, repetitions),
    fleet: {
      ...base.fleet,
      devices: whole('fleet-devices', values['fleet-devices'], base.fleet.devices),
      minutes: whole('minutes', values.minutes, values.fleet ? FLEET_MINUTES : base.fleet.minutes),
    },
    resultsDir: values.results === 'none' ? null : (values.results ?? defaultResults),
  };
}
