import { type DispatchRequest } from '@outrigger/protocol';
import { buildArgv } from '../claude/argv.js';
import { buildEnvironment } from '../claude/environment.js';
import { mergeSettings, proxiesOf } from '../claude/settings.js';
import { type SessionUse } from '../core/lifecycle-state.js';
import { type RunUser } from '../options/user.js';
import { type LaunchRequest } from '../process/launch.js';
import { userEnvironment, userPrefix } from '../process/run-as.js';
import { type AttemptFiles } from '../state/folder.js';
import { type AttemptAccess } from './access.js';

/** How this sidecar starts Claude Code. */
export interface LaunchSetup {
  readonly command: string;
  readonly passedVariables: readonly string[];
  readonly runUser: RunUser | null;
}

/** What is to be started. */
export interface LaunchInput {
  readonly executionId: string;
  readonly request: DispatchRequest;
  readonly sessionId: string;
  /** What this attempt does with the session. */
  readonly session: SessionUse;
}

/** The whole environment of an attempt's process. */
export function environmentOf(
  setup: LaunchSetup,
  { executionId, request }: LaunchInput,
  access: AttemptAccess,
): Record<string, string> {
  return buildEnvironment({
    inherited: { ...process.env, ...userEnvironment(setup.runUser) },
    passed: setup.passedVariables,
    requested: request.env ?? {},
    executionId,
    upstream: access.baseUrl,
    credential: access,
  });
}

/** The caller's settings, with what keeps a repository's own from taking the run elsewhere. */
export function settingsOf(
  { request }: LaunchInput,
  { baseUrl, kind, secret, isPlaceholder }: AttemptAccess,
  environment: Readonly<Record<string, string>>,
): object {
  return mergeSettings(request.settings, {
    baseUrl,
    kind,
    placeholder: isPlaceholder ? secret : null,
    proxies: proxiesOf(environment),
    noProxy: environment['NO_PROXY'] ?? '',
  });
}

/** The process of one attempt, from what was dispatched and how the sidecar was set up. */
export function buildLaunchRequest(
  setup: LaunchSetup,
  { request, sessionId, session }: LaunchInput,
  { files, environment }: { readonly files: AttemptFiles; readonly environment: Record<string, string> },
): LaunchRequest {
  const isResumed = session === 'resume' || request.resume !== undefined;
  return {
    prefix: userPrefix(setup.runUser),
    command: setup.command,
    argv: buildArgv(request, isResumed ? { resume: sessionId } : { start: sessionId }, files.settings),
    environment,
    cwd: request.cwd ?? process.cwd(),
    files,
    hasOpenInput: request.interactive === true,
  };
}
