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

export default defineConfig([
  { ...library('protocol', { index: 'index.ts' }), platform: 'neutral' },
  library('sdk', {
    index: 'index.ts',
    redis: 'redis.ts',
    'conformance/index': 'conformance/index.ts',
    'testing/index': 'testing/index.ts',
    'testing/fake-claude': 'testing/fake-claude.ts',
  }),
  library('sidecar', { index: 'index.ts' }),
  {
    ...shared,
    name: 'outrigger-sidecar',
    // One self-contained file: it is copied into images that have Node and nothing else of ours.
    entry: { main: 'packages/sidecar/src/main.ts' },
    outDir: 'packages/sidecar/dist',
    clean: false,
    splitting: false,
    skipNodeModulesBundle: false,
    external: ['bufferutil', 'utf-8-validate'],
    noExternal: [/.*/],
    minifySyntax: true,
    banner: {
      js: "#!/usr/bin/env node\nimport { createRequire as __createRequire } from 'node:module';\nconst require = __createRequire(import.meta.url);",
    },
  },
]);
