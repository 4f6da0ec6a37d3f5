import { type DispatchRequest } from '@outrigger/protocol';
import { buildArgv } from '../claude/argv.js';
import { buildEnvironment, type Credential } from '../claude/environment.js';
import { type RunUser } from '../options/user.js';
import { type LaunchRequest } from '../process/launch.js';
import { userEnvironment, userPrefix } from '../process/run-as.js';
import { type AttemptFiles } from '../state/folder.js';

/** How this sidecar starts Claude Code. */
export interface LaunchSetup {
  readonly command: string;
  readonly upstream: string | null;
  readonly passedVariables: readonly string[];
  readonly runUser: RunUser | null;
}

/** What is to be started. */
export interface LaunchInput {
  readonly executionId: string;
  readonly request: DispatchRequest;
  readonly sessionId: string;
  readonly files: AttemptFiles;
  readonly credential: Credential;
}

/** The process of one attempt, from what was dispatched and how the sidecar was set up. */
export function buildLaunchRequest(setup: LaunchSetup, run: LaunchInput): LaunchRequest {
  const { request, sessionId } = run;
  return {
    prefix: userPrefix(setup.runUser),
    command: setup.command,
    argv: buildArgv(
      request,
      request.resume === undefined ? { start: sessionId } : { resume: sessionId },
      run.files.settings,
    ),
    environment: buildEnvironment({
      inherited: { ...process.env, ...userEnvironment(setup.runUser) },
      passed: setup.passedVariables,
      requested: request.env ?? {},
      executionId: run.executionId,
      upstream: setup.upstream,
      credential: run.credential,
    }),
    cwd: request.cwd ?? process.cwd(),
    files: run.files,
  };
}
