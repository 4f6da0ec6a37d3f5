import {
  type JournalledAttempt,
  type JournalledExecution,
  type JournalledInput,
  type JournalState,
} from './journal-state.js';

/**
 * A journal with its moments on another boot's monotonic clock: by the wall clock, which is all that the two have in common.
 *
 * @param shiftMs What is added to a moment of the old clock to make it one of the new.
 */
export function rebaseJournal(state: JournalState, shiftMs: number): JournalState {
  return {
    ...state,
    executions: mapValues(state.executions, (execution) => rebaseExecution(execution, shiftMs)),
    tombstones: mapValues(state.tombstones, (tombstone) => shifted(tombstone, 'at', shiftMs)),
    rememberedCancels: mapValues(state.rememberedCancels, (at) => at + shiftMs),
  };
}

function rebaseExecution(execution: JournalledExecution, shiftMs: number): JournalledExecution {
  const { accepted, attempts, startedAt, cancelled, input, hold, suspended, verdict } = execution;
  const failure = suspended?.failure ?? null;
  return {
    ...execution,
    accepted: shifted(accepted, 'acceptedAtMs', shiftMs),
    attempts: attempts.map((attempt) => rebaseAttempt(attempt, shiftMs)),
    startedAt: startedAt === null ? null : startedAt + shiftMs,
    cancelled: cancelled && shifted(cancelled, 'at', shiftMs),
    input: input && rebaseInput(input, shiftMs),
    hold: hold && shifted(shifted(hold, 'since', shiftMs), 'until', shiftMs),
    suspended: suspended && { ...suspended, failure: failure && shifted(failure, 'at', shiftMs) },
    verdict: verdict && shifted(verdict, 'at', shiftMs),
  };
}

function rebaseAttempt(attempt: JournalledAttempt, shiftMs: number): JournalledAttempt {
  const { launched } = attempt;
  return { ...attempt, launched: launched && shifted(launched, 'at', shiftMs) };
}

function rebaseInput(input: JournalledInput, shiftMs: number): JournalledInput {
  const { reopened, endAskedAt } = input;
  const result = reopened?.result ?? null;
  return {
    ...input,
    reopened: reopened && { ...reopened, result: result && shifted(result, 'at', shiftMs) },
    endAskedAt: endAskedAt === null ? null : endAskedAt + shiftMs,
  };
}

function shifted<K extends string, T extends Readonly<Record<K, number>>>(value: T, key: K, shiftMs: number): T {
  return { ...value, [key]: value[key] + shiftMs };
}

function mapValues<T>(map: ReadonlyMap<string, T>, change: (value: T) => T): Map<string, T> {
  return new Map([...map].map(([key, value]) => [key, change(value)]));
}
