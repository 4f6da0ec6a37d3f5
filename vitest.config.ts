import { defineConfig } from 'vitest/config';

// Tests import the built packages, as a user does; only a package's own unit tests import its sources.
export default defineConfig({
  test: {
    // Most files start real processes. One more than the cores of a small machine, as some wait for a clock.
    maxWorkers: 3,
    projects: [
      {
        test: {
          name: 'unit',
          include: ['packages/*/src/**/*.test.ts'],
          testTimeout: 20_000,
          // They share nothing but what they import, which takes half their time if each does it anew.
          isolate: false,
        },
      },
      {
        test: {
          name: 'system',
          include: ['test/**/*.test.ts', 'examples/**/*.test.ts'],
          globalSetup: ['test/support/global-setup.ts'],
          testTimeout: 60_000,
          // Dozens of sidecars share one process table here, as they do nowhere else: now and then one takes another's process for
          // one that got away from its own run. What fails twice fails; what was tried again is marked in the output.
          retry: 1,
          // Real processes on a busy machine take their time; what never comes fails all the same.
          expect: { poll: { timeout: 20_000 } },
          hookTimeout: 60_000,
        },
      },
    ],
  },
});
