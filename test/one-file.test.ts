import { copyFileSync, existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { script } from './support/fleet.js';
import { startGateway } from './support/gateway.js';
import { temporaryFolder } from './support/runs.js';

/** A folder and all it is in. */
const withParents = (folder: string): string[] =>
  folder === dirname(folder) ? [folder] : [folder, ...withParents(dirname(folder))];

it('the sidecar is one file: alone in a folder, it supervises a run that asks the provider', async () => {
  const folder = temporaryFolder();
  const near = withParents(folder).map((parent) => [join(parent, 'node_modules'), join(parent, 'package.json')]);
  expect(near.flat().filter((path) => existsSync(path))).toEqual([]);
  const main = join(folder, 'main.js');
  copyFileSync(fileURLToPath(new URL('../packages/sidecar/dist/main.js', import.meta.url)), main);

  await using gateway = await startGateway({ main });
  const execution = await gateway.dispatch({ prompt: script({ do: 'init' }, { do: 'request' }, { do: 'result' }) });
  expect(await execution.outcome).toMatchObject({ status: 'succeeded', survivors: 0 });
  expect(gateway.api.requests).toHaveLength(1);
});
