import { defineConfig } from 'vitest/config';

// Two projects: `rooms` tests one workspace each, `e2e` drives whole processes.
// Both run against compiled rooms (`tsc -b` first), as a user's process does.
export default defineConfig({
  test: {
    pool: 'forks',
    maxWorkers: 2,
    projects: [
      {
        extends: true,
        test: {
          name: 'rooms',
          include: ['*/test/**/*.test.ts'],
          exclude: ['e2e/**', 'bench/**', '**/node_modules/**', '**/dist/**', 'firmware-ft900/**'],
          testTimeout: 30_000,
          hookTimeout: 60_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'e2e',
          include: ['e2e/**/*.test.ts'],
          exclude: ['**/node_modules/**'],
          testTimeout: 60_000,
          hookTimeout: 180_000,
        },
      },
    ],
  },
});
