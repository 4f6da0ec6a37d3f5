import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

/**
 * For `npm run mutate`: the unit tests of `core/` alone. They take the protocol from its sources, so that nothing needs
 * to be built and no mutant hides behind an old build.
 */
export default defineConfig({
  resolve: {
    alias: { '@outrigger/protocol': fileURLToPath(new URL('packages/protocol/src/index.ts', import.meta.url)) },
  },
  test: { include: ['packages/*/src/**/core/**/*.test.ts'], testTimeout: 20_000 },
});
