import { defineConfig } from 'vitest/config';

// Apart from the rooms' tests: these need root, /dev/net/tun and the firmware's own tools. `make e2e` runs them.
export default defineConfig({
  test: {
    root: import.meta.dirname,
    include: ['**/*.test.ts'],
    pool: 'forks',
    maxWorkers: 1,
    testTimeout: 120_000,
    hookTimeout: 240_000,
  },
});
