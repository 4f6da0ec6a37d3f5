import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Agent, createFleet, type DispatchRequest, type Execution, type Fleet } from '@outrigger/sdk';
import { type ApiRequest, startStandInApi, type StandInApi, type Step } from '@outrigger/sdk/testing';
import { type ClaudeVersion, claudePath } from '../../test/support/claude.js';
import { CREDENTIAL, startSidecar, TOKEN } from './process.js';

/** The real CLI under a sidecar with the gateway, with an empty home, a stand-in for the API and a host. */
export interface RealClaude extends AsyncDisposable {
  readonly api: StandInApi;
  readonly fleet: Fleet;
  readonly agent: Agent;
  readonly home: string;
  /** Dispatches a run in the empty home. */
  readonly dispatch: (request: DispatchRequest) => Promise<Execution>;
}

export async function startRealClaude(options: {
  version: ClaudeVersion;
  respond: Step;
  args?: string[];
}): Promise<RealClaude> {
  const home = mkdtempSync(join(tmpdir(), 'outrigger-bench-home-'));
  const api = await startStandInApi({ respond: options.respond });
  const sidecar = await startSidecar({
    claude: claudePath(options.version),
    mode: 'gateway',
    args: ['--upstream', api.url, ...(options.args ?? [])],
  });
  const fleet = createFleet();
  const agent = await fleet.connect({ url: sidecar.url, token: TOKEN });
  return {
    api,
    fleet,
    agent,
    home,
    dispatch: (request) => agent.dispatch({ cwd: home, env: { HOME: home, IS_SANDBOX: '1' }, ...request }),
    [Symbol.asyncDispose]: async () => {
      await fleet.close();
      await sidecar[Symbol.asyncDispose]();
      await api.close();
      rmSync(home, { recursive: true, force: true });
    },
  };
}

/** What the bare CLI is started with; `secret` is its credential. */
export function bareEnvironment(home: string, apiUrl: string, secret: string = CREDENTIAL): Record<string, string> {
  return {
    PATH: process.env['PATH'] ?? '',
    HOME: home,
    IS_SANDBOX: '1',
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
    DISABLE_AUTOUPDATER: '1',
    ANTHROPIC_BASE_URL: apiUrl,
    CLAUDE_CODE_OAUTH_TOKEN: secret,
  };
}

export const BARE_ARGS: readonly string[] = ['-p', '--output-format=stream-json', '--verbose'];

/** What the API got in a run's turn, the helper calls of the CLI left out. */
export function turnsOf(api: StandInApi, prompt: string, turn: number): ApiRequest[] {
  return api.requests.filter(
    (request) => request.kind === 'main' && request.turn === turn && request.prompt === prompt,
  );
}

/** What of a run's output a person would take for a failure; empty when there is nothing. */
export async function failuresPrinted(execution: Execution): Promise<string[]> {
  const found: string[] = [];
  for await (const event of execution) {
    if (event.type === 'gap') found.push('a gap');
    if (event.type === 'stderr') found.push(event.line);
    if (event.type !== 'message') continue;
    const isFailure =
      event.quarantined || /api_retry|API Error|authentication|expired|"is_error":true/.test(event.line);
    if (isFailure) found.push(event.line);
  }
  return found;
}
