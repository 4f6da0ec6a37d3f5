import { recordsOfInput } from './journal-input.js';
import { JOURNAL_VERSION, type JournalledExecution, type JournalRecord, type JournalState } from './journal-state.js';

/** The fewest records that amount to the same: what a journal is made of anew when it has grown too large. */
export function recordsOf(state: JournalState): JournalRecord[] {
  const { journalId, machineBootId, epochAtZeroMs, generation } = state;
  const header: JournalRecord[] =
    journalId === null || machineBootId === null || epochAtZeroMs === null
      ? []
      : [{ is: 'journal', version: JOURNAL_VERSION, journalId, machineBootId, epochAtZeroMs }];
  return [
    ...header,
    ...(generation === null ? [] : [recordOfGeneration(generation)]),
    ...(state.fence === 0 ? [] : [{ is: 'fence', fence: state.fence } as const]),
    ...[...state.tombstones].map(([id, { digest, at }]) => ({ is: 'forgotten', id, digest, at }) as const),
    ...[...state.rememberedCancels].map(([id, at]) => ({ is: 'cancel_remembered', id, at }) as const),
    ...[...state.executions.values()].flatMap(recordsOfExecution),
  ];
}

function recordOfGeneration({ number, credential }: NonNullable<JournalState['generation']>): JournalRecord {
  return { is: 'generation', generation: number, credential };
}

function recordsOfExecution(execution: JournalledExecution): JournalRecord[] {
  const { accepted, cancelled, hold, heldMs, suspended, credential, verdict, refusal, ends, outcome } = execution;
  const { id } = accepted;
  const records: JournalRecord[] = [accepted, ...recordsOfAttempts(execution)];
  if (execution.input !== null) records.push(...recordsOfInput(id, execution.input));
  if (cancelled !== null) records.push({ is: 'cancelled', id, ...cancelled });
  if (suspended === null && (heldMs > 0 || hold !== null)) records.push({ is: 'held', id, heldMs, hold });
  if (credential !== null) records.push({ is: 'used', id, credential });
  if (verdict !== null) records.push({ is: 'decided', id, verdict, refusal, ends });
  if (outcome !== null) records.push({ is: 'ended', id, outcome, ends });
  if (execution.isAcknowledged) records.push({ is: 'acknowledged', id });
  return records;
}

function recordsOfAttempts(execution: JournalledExecution): JournalRecord[] {
  const { attempts, suspended, hold, heldMs, ends } = execution;
  const { id } = execution.accepted;
  const resumesLeft = execution.resumesLeft ?? 0;
  const reopened = execution.input?.reopened ?? null;
  const input = reopened === null ? {} : { reopened };
  const records = attempts.map(({ number, session, sessionId, start, launched }): JournalRecord[] => {
    const starting = { is: 'starting', id, attempt: number, session, sessionId, start } as const;
    return launched === null ? [starting] : [starting, { is: 'launched', id, attempt: number, ...launched }];
  });
  const latest = attempts.at(-1);
  if (suspended !== null)
    records.push([{ is: 'suspended', id, ...suspended, resumesLeft, hold, heldMs, ends, ...input }]);
  else if (execution.resumesLeft !== null && latest !== undefined) {
    // How many are left is told by a suspension alone, and that is over.
    const over = { next: latest.session, failure: null, hold: null };
    records.splice(-1, 0, [{ is: 'suspended', id, ...over, resumesLeft, heldMs, ends, ...input }]);
  }
  return records.flat();
}
