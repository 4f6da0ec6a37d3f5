import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { REPOSITORY } from './support/image.js';

const run = async (command: string, ...argv: string[]) => {
  const { stdout } = await promisify(execFile)(command, argv, { cwd: REPOSITORY, maxBuffer: 64 * 1024 * 1024 });
  return JSON.parse(stdout) as unknown;
};
const readText = (path: string) => readFileSync(REPOSITORY + path, 'utf8');

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
  readonly [field: string]: unknown;
}
const readManifest = (folder: string) => JSON.parse(readText(`${folder}/package.json`)) as Manifest;

const PACKAGES = readdirSync(`${REPOSITORY}packages`);

/** What is published, each file of it. HASH stands for what changes with the content. */
const CONTENTS: Readonly<Record<string, readonly string[]>> = {
  '@outrigger/protocol': ['PROTOCOL.md', 'asyncapi.json', 'dist/index.d.ts', 'dist/index.js'],
  '@outrigger/sdk': [
    ...Array.from({ length: 6 }, () => 'dist/chunk-HASH.js'),
    'bin/outrigger.js',
    'dist/cli/main.js',
    'dist/conformance/index.d.ts',
    'dist/conformance/index.js',
    'dist/fleet-HASH.d.ts',
    'dist/index.d.ts',
    'dist/index.js',
    'dist/metrics.d.ts',
    'dist/metrics.js',
    'dist/otel.d.ts',
    'dist/otel.js',
    'dist/redis.d.ts',
    'dist/redis.js',
    'dist/store-HASH.d.ts',
    'dist/testing/fake-claude.d.ts',
    'dist/testing/fake-claude.js',
    'dist/testing/index.d.ts',
    'dist/testing/index.js',
  ],
  '@outrigger/sidecar': ['bin/outrigger-keeper', 'dist/index.d.ts', 'dist/index.js', 'dist/main.js'],
};

describe('what npm publishes', () => {
  it('is exactly what is listed here', async () => {
    const packed = (await run('npm', 'pack', '--dry-run', '--json', '--workspaces')) as {
      name: string;
      files: { path: string; mode: number }[];
    }[];
    const contents = packed.map(({ name, files }) => [
      name,
      // A build without declarations is what benches make. That the folders of the kit are complete is tested where it is made.
      files
        .filter(({ path }) => !/^(examples|schema)\/v1\/.+\.json$/.test(path))
        .map(({ path }) => path.replace(/-[\w-]{8}\.(?=js|d\.ts)/, '-HASH.'))
        .sort(),
    ]);
    const everywhere = ['LICENSE', 'README.md', 'package.json'];
    expect(Object.fromEntries(contents)).toEqual(
      Object.fromEntries(Object.entries(CONTENTS).map(([name, files]) => [name, [...everywhere, ...files].sort()])),
    );
    const isExecutable = ({ mode }: { mode: number }) => (mode & 0o111) !== 0;
    const executable = packed.flatMap(({ files }) => files.filter(isExecutable).map(({ path }) => path));
    expect(executable.sort()).toEqual([
      'bin/outrigger-keeper',
      'bin/outrigger.js',
      'dist/cli/main.js',
      'dist/main.js',
      'dist/testing/fake-claude.js',
    ]);
  });

  it.each(PACKAGES)('says of %s whose it is and from where', (name) => {
    const folder = `packages/${name}`;
    expect(readManifest(folder)).toMatchObject({
      version: readManifest('.').version,
      license: 'MIT',
      repository: { type: 'git', directory: folder },
      publishConfig: { access: 'public', provenance: true },
      keywords: expect.arrayContaining(['outrigger', 'claude-code']) as unknown,
      description: expect.stringMatching(/\.$/) as unknown,
    });
    expect(readText(`${folder}/LICENSE`)).toBe(readText('LICENSE'));
    expect(readText(`${folder}/README.md`)).toContain(`# @outrigger/${name}\n`);
  });
});

it('the list of parts has what is needed at run time, and nothing else', async () => {
  const sbom = (await run('node', 'scripts/sbom.mjs')) as {
    bomFormat: string;
    metadata: { component: { name: string } };
    components: { 'bom-ref': string; purl: string }[];
    dependencies: { ref: string; dependsOn: string[] }[];
  };
  const parts = sbom.components.map((component) => component['bom-ref']).sort();
  expect(sbom).toMatchObject({ bomFormat: 'CycloneDX', metadata: { component: { name: 'outrigger' } } });
  expect(parts).toEqual([...runtimeParts()].sort());
  expect(parts.join(' ')).toMatch(/\bws@.*\bzod@/);
  const edges = sbom.dependencies.flatMap(({ ref, dependsOn }) => [ref, ...dependsOn]);
  expect(edges.filter((ref) => !parts.includes(ref) && !ref.startsWith('outrigger@'))).toEqual([]);
});

/** What the packages depend on, found by walking through what is installed. */
function runtimeParts(): Set<string> {
  const parts = new Set<string>();
  const visit = (folder: string) => {
    const { name, version, dependencies = {}, peerDependencies = {} } = readManifest(folder);
    const part = `${name}@${version}`;
    if (parts.has(part)) return;
    parts.add(part);
    // A peer is part of it if it is installed, as ioredis is.
    for (const wanted of Object.keys({ ...dependencies, ...peerDependencies })) {
      const found = [`${folder}/node_modules/${wanted}`, `node_modules/${wanted}`].find((path) =>
        existsSync(REPOSITORY + path),
      );
      if (found !== undefined) visit(found);
    }
  };
  PACKAGES.forEach((name) => visit(`packages/${name}`));
  return parts;
}

interface Workflow {
  readonly permissions: Readonly<Record<string, string>>;
  readonly jobs: Readonly<
    Record<string, { readonly permissions?: object; readonly steps: readonly { run?: string }[] }>
  >;
}
const readWorkflow = (name: string) => parse(readText(`.github/workflows/${name}`)) as Workflow;
const commandsOf = ({ jobs }: Workflow) => Object.values(jobs).flatMap(({ steps }) => steps.map(({ run }) => run));

describe('the workflows', () => {
  it('let a change land by what .ci/run says, with no right to write', () => {
    const workflow = readWorkflow('ci.yml');
    expect(commandsOf(workflow)).toContain('.ci/run');
    expect(workflow.permissions).toEqual({ contents: 'read' });
    expect(Object.values(workflow.jobs).filter(({ permissions }) => permissions !== undefined)).toEqual([]);
  });

  it('publish with provenance, after the same checks, without a token', () => {
    const workflow = readWorkflow('release.yml');
    const commands = commandsOf(workflow);
    expect(commands.indexOf('.ci/run')).toBeGreaterThan(-1);
    expect(commands.indexOf('.ci/run')).toBeLessThan(commands.indexOf('npm run release'));
    expect(workflow.jobs['publish']?.permissions).toMatchObject({ 'id-token': 'write' });
    expect(readText('.github/workflows/release.yml')).not.toContain('secrets.');
    expect((readManifest('.')['scripts'] as { release: string }).release).toMatch(/--provenance --access public/);
  });
});
