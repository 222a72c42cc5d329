import { z } from 'zod';

/** In the data folder while a stack runs and is ready: what tests and benchmarks need to know of it. */
export const FACTS_FILE = 'stack.json';

const pid = z.int().positive().nullable();

/** `stack.json`. Written anew, whole, each time a part was started again. */
export const stackFactsSchema = z.object({
  version: z.literal(1),
  /** Of the supervisor. */
  pid: z.int().positive(),
  dataDir: z.string(),
  /** Of the first gateway. */
  url: z.string(),
  /** PEM file: the root that clients and devices trust. */
  caFile: z.string(),
  ports: z.object({ https: z.int(), mqtts: z.int(), amqps: z.int() }),
  broker: z.object({ pid, version: z.string(), managementUrl: z.string() }),
  gateways: z.array(z.object({ pid, url: z.string(), brokerAuthPort: z.int() })),
  /** The simulated device; null where there is none (POSTERN_DEMO=0). */
  lamp: z.object({ pid, folder: z.string() }).nullable(),
});
export type StackFacts = z.infer<typeof stackFactsSchema>;
