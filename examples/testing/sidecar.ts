import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fakeClaudePath } from '@outrigger/sdk/testing';

const require = createRequire(import.meta.url);
const TOKEN = 'a-control-token-for-tests';

/** A sidecar of its own, with the fake CLI, on a free port. */
export async function startSidecar(): Promise<{ url: string; token: string } & AsyncDisposable> {
  const stateDir = mkdtempSync(join(tmpdir(), 'sidecar-'));
  const main = join(require.resolve('@outrigger/sidecar/package.json'), '../dist/main.js');
  const flags = ['--listen=127.0.0.1:0', `--state-dir=${stateDir}`, `--claude=${fakeClaudePath}`];
  // The fake CLI asks nobody, so there is nothing for a gateway to do.
  const child = spawn(process.execPath, [main, ...flags, '--credential-mode=env', '--drain-timeout-ms=0'], {
    env: { PATH: process.env['PATH'], OUTRIGGER_TOKEN: TOKEN, CLAUDE_CODE_OAUTH_TOKEN: 'made-up' },
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const exited = once(child, 'exit');
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  return {
    url: /ready: (\S+)/.exec(line)?.[1] ?? '',
    token: TOKEN,
    [Symbol.asyncDispose]: async () => {
      child.kill(); // ends every run that is left
      await exited;
      rmSync(stateDir, { recursive: true });
    },
  };
}
