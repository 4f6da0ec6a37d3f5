import { OutriggerError, type OutcomeStatus, WireError } from '@outrigger/protocol';

/** What the command line ends with; part of its contract, so that scripts can tell. */
export const EXIT_CODES = {
  ok: { code: 0, means: 'done; for run: the run succeeded' },
  failed: { code: 1, means: 'the run failed, a drain did not finish, or doctor or conformance found a fault' },
  usage: { code: 2, means: 'the command line or the environment is wrong' },
  refused: { code: 3, means: 'the agent refused it' },
  unreachable: { code: 4, means: 'an agent could not be reached, or did not accept the token' },
  timedOut: { code: 5, means: 'the run timed out' },
  cancelled: { code: 6, means: 'the run was cancelled' },
  skipped: { code: 7, means: 'the run was not started, and that is recorded' },
  lost: { code: 8, means: 'nobody knows how the run ended' },
} as const;

const OF_STATUS: Record<OutcomeStatus, keyof typeof EXIT_CODES> = {
  succeeded: 'ok',
  failed: 'failed',
  timed_out: 'timedOut',
  cancelled: 'cancelled',
  skipped: 'skipped',
  lost: 'lost',
};

export function exitCodeOfStatus(status: OutcomeStatus): number {
  return EXIT_CODES[OF_STATUS[status]].code;
}

/** Errors of the SDK that say the agent was not reached. */
const UNREACHABLE = ['agent_unreachable', 'unauthorized', 'agent_mismatch', 'unsupported_version', 'protocol_error'];

export function exitCodeOfError(error: unknown): number {
  if (error instanceof UsageError) return EXIT_CODES.usage.code;
  if (!(error instanceof OutriggerError)) return EXIT_CODES.failed.code;
  if (UNREACHABLE.includes(error.code)) return EXIT_CODES.unreachable.code;
  if (error instanceof WireError) return EXIT_CODES.refused.code;
  return ['invalid', 'insecure_url'].includes(error.code) ? EXIT_CODES.usage.code : EXIT_CODES.refused.code;
}

/** The command line or the environment has to be changed; the message is one line that says how. */
export class UsageError extends Error {}
