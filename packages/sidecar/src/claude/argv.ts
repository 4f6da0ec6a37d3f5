import { type DispatchRequest, WireError } from '@outrigger/protocol';

/** Flags the sidecar sets itself, so a caller cannot: they decide session, streams and settings. */
const OWNED_FLAGS: readonly string[] = [
  '-p',
  '--print',
  '--output-format',
  '--input-format',
  '--verbose',
  '--session-id',
  '-r',
  '--resume',
  '-c',
  '--continue',
  '--settings',
];

/** Where a caller finds the field of a dispatch that does what an owned flag would. */
const FIELD_OF_FLAG: Readonly<Record<string, string>> = {
  '--session-id': 'sessionId',
  '-r': 'resume',
  '--resume': 'resume',
  '--settings': 'settings',
};

/**
 * The arguments of one run of Claude Code. The caller's values are joined to their flags with "=", so that none can pass
 * for a flag.
 *
 * @param session What the process is to start or go on with.
 * @param settingsPath A file, because arguments can be read by every process of the machine.
 */
export function buildArgv(
  request: DispatchRequest,
  session: { start: string } | { resume: string },
  settingsPath: string | null,
): string[] {
  const flag = (name: string, value: string | number | null | undefined) => (value == null ? [] : [`${name}=${value}`]);
  return [
    '-p',
    '--output-format=stream-json',
    '--verbose',
    ...(request.interactive === true ? ['--input-format=stream-json'] : []),
    'start' in session ? `--session-id=${session.start}` : `--resume=${session.resume}`,
    ...flag('--model', request.model),
    ...flag('--max-turns', request.maxTurns),
    ...flag('--append-system-prompt', request.appendSystemPrompt),
    ...flag('--permission-mode', request.permissionMode),
    ...flag('--allowedTools', request.allowedTools?.join(',')),
    ...flag('--disallowedTools', request.disallowedTools?.join(',')),
    // Joined, 1.0.128 reads the file too late: what it says of the environment loses against the repository's.
    ...(settingsPath === null ? [] : ['--settings', settingsPath]),
    ...(request.args ?? []),
  ];
}

/** @throws WireError `invalid` when `args` holds a flag the sidecar owns, also as `--flag=value` or `-fvalue`. */
export function checkArgs(args: readonly string[]): void {
  for (const arg of args) {
    // A short flag can have its value, or further short flags, right behind it.
    const flag = /^(--[^=]*|-[^-])/.exec(arg)?.[0];
    if (flag === undefined || !OWNED_FLAGS.includes(flag)) continue;
    const field = FIELD_OF_FLAG[flag];
    const advice = field === undefined ? 'the sidecar sets it' : `use the field "${field}"`;
    throw invalid('request.args', `${flag} is not allowed; ${advice}`);
  }
}

function invalid(path: string, message: string): WireError {
  return new WireError('invalid', `dispatch: ${path}: ${message}`, { issues: [{ path, message }] });
}
