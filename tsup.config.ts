import { defineConfig, type Options } from 'tsup';

const shared: Options = {
  format: 'esm',
  platform: 'node',
  target: 'node20.19',
  tsconfig: 'tsconfig.json',
  clean: true,
  splitting: true,
  sourcemap: true,
  skipNodeModulesBundle: true,
  external: [/^@outrigger\//],
};

// TypeScript 6 rejects the `baseUrl` that tsup 8.5 passes when it builds declarations.
const declarations = { compilerOptions: { ignoreDeprecations: '6.0' } };

function library(name: string, entry: Record<string, string>): Options {
  return {
    ...shared,
    name,
    outDir: `packages/${name}/dist`,
    dts: process.argv.includes('--no-dts') ? false : declarations,
    entry: Object.fromEntries(Object.entries(entry).map(([out, file]) => [out, `packages/${name}/src/${file}`])),
  };
}

/** One file with everything it needs. */
function program(name: string, folder: string, entry: Record<string, string>): Options {
  return {
    ...library(folder, entry),
    name,
    dts: false,
    clean: false,
    splitting: false,
    skipNodeModulesBundle: false,
    external: ['bufferutil', 'utf-8-validate'],
    noExternal: [/.*/],
    minifySyntax: true,
    banner: {
      js: "#!/usr/bin/env node\nimport { createRequire as __createRequire } from 'node:module';\nconst require = __createRequire(import.meta.url);",
    },
  };
}

export default defineConfig([
  { ...library('protocol', { index: 'index.ts' }), platform: 'neutral' },
  library('sdk', {
    index: 'index.ts',
    redis: 'redis.ts',
    metrics: 'metrics.ts',
    otel: 'otel.ts',
    'conformance/index': 'conformance/index.ts',
    'testing/index': 'testing/index.ts',
    'testing/fake-claude': 'testing/fake-claude.ts',
  }),
  library('sidecar', { index: 'index.ts' }),
  // One self-contained file: it is copied into images that have Node and nothing else of ours.
  program('outrigger-sidecar', 'sidecar', { main: 'main.ts' }),
  // What it draws with is no dependency of those who import the SDK.
  program('outrigger', 'sdk', { 'cli/main': 'cli/main.ts' }),
]);
