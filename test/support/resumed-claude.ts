import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type CredentialNeeded, type DispatchRequest } from '@outrigger/sdk';
import { startStandInApi, type Step } from '@outrigger/sdk/testing';
import { claudePath, type ClaudeVersion } from './claude.js';
import { connectFleet } from './fleet.js';
import { SECOND } from './runs.js';
import { startSidecar } from './sidecar.js';

const FIRST = 'sk-ant-oat01-first';

/** Every start of the CLI notes its arguments, and what lives in its folder by then: there must be nothing else. */
function wrapperOf(claude: string, folder: string): string {
  const path = join(folder, 'claude');
  const script = `#!/bin/sh
here=$PWD
cd /
if [ "$1" = -p ]; then
  n=$(ls ${folder} | grep -c start-)
  ls -l /proc/[0-9]*/cwd 2>/dev/null | grep -- "-> $here\\$" >${folder}/others
  printf '%s\\n' "$@" >${folder}/start-$n
  [ -s ${folder}/others ] && cp ${folder}/others ${folder}/overlap-$n
fi
cd "$here"
exec ${claude} "$@"
`;
  writeFileSync(path, script, { mode: 0o755 });
  return path;
}

/**
 * The real CLI on an empty home, with a stand-in API and a host that answers each need for a credential with a new one, whose
 * secret ends in its generation.
 */
export async function resumableClaude(version: ClaudeVersion, mode: 'gateway' | 'env', respond: Step) {
  const home = mkdtempSync(join(tmpdir(), 'outrigger-home-'));
  const folder = mkdtempSync(join(tmpdir(), 'outrigger-wrapper-'));
  const api = await startStandInApi({ respond });
  const sidecar = await startSidecar({
    claude: wrapperOf(claudePath(version), folder),
    mode,
    upstream: api.url,
    credential: FIRST,
    env: { HOME: home, IS_SANDBOX: '1' },
  });
  const host = await connectFleet(sidecar);
  const needs: CredentialNeeded[] = [];
  host.fleet.on('credentialNeeded', (need) => {
    needs.push(need);
    const generation = (need.generation ?? 0) + 1;
    const secret = `${SECOND.secret}-${generation}`;
    void host.agent.swapCredential({ ...SECOND, secret }, { ifGeneration: need.generation });
  });
  const names = (prefix: string) => readdirSync(folder).filter((name) => name.startsWith(prefix));
  return {
    api,
    home,
    needs,
    dispatch: (request: Partial<DispatchRequest> = {}) =>
      host.agent.dispatch({
        prompt: 'Begin with the task.',
        cwd: home,
        allowedTools: ['Bash'],
        onCredentialFailure: 'resume',
        resumePrompt: 'Carry on.',
        ...request,
      }),
    /** The arguments of each start, in order. */
    starts: () => names('start-').map((_name, n) => readFileSync(join(folder, `start-${n}`), 'utf8').split('\n')),
    overlaps: () => names('overlap-').map((name) => readFileSync(join(folder, name), 'utf8')),
    log: (executionId: string, attempt: number) =>
      readFileSync(join(sidecar.stateDir, 'executions', executionId, String(attempt), 'stdout'), 'utf8'),
    [Symbol.asyncDispose]: async () => {
      await host[Symbol.asyncDispose]();
      await sidecar[Symbol.asyncDispose]();
      await api.close();
      rmSync(home, { recursive: true, force: true });
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** The session that a start of the CLI names with a flag. */
export const sessionOf = (start: readonly string[] | undefined, flag: string) =>
  start?.find((arg) => arg.startsWith(`${flag}=`))?.slice(flag.length + 1);
