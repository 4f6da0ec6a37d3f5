import {
  type JournalledAttempt,
  type JournalledExecution,
  type JournalRecord,
  type JournalState,
} from './journal-state.js';

/**
 * What a journal's records amount to. A record about an execution that was never accepted is left out, and one that is
 * repeated changes nothing.
 */
export function foldJournal(records: Iterable<JournalRecord>): JournalState {
  const executions = new Map<string, JournalledExecution>();
  const tombstones = new Map<string, { digest: string; at: number }>();
  const rememberedCancels = new Map<string, number>();
  let header: { journalId: string; machineBootId: string } | null = null;
  let generation: number | null = null;
  for (const record of records) {
    switch (record.is) {
      case 'journal':
        header ??= record;
        break;
      case 'generation':
        generation = Math.max(generation ?? 0, record.generation);
        break;
      case 'cancel_remembered':
        if (!executions.has(record.id)) rememberedCancels.set(record.id, record.at);
        break;
      case 'forgotten':
        executions.delete(record.id);
        tombstones.set(record.id, { digest: record.digest, at: record.at });
        break;
      case 'accepted':
        if (executions.has(record.id)) break;
        // Who was forgotten for good can be accepted anew.
        tombstones.delete(record.id);
        rememberedCancels.delete(record.id);
        executions.set(record.id, newExecution(record));
        break;
      default: {
        const execution = executions.get(record.id);
        if (execution !== undefined) executions.set(record.id, advance(execution, record));
      }
    }
  }
  return {
    journalId: header?.journalId ?? null,
    machineBootId: header?.machineBootId ?? null,
    generation,
    executions,
    tombstones,
    rememberedCancels,
  };
}

type ExecutionRecord = Exclude<
  JournalRecord,
  { is: 'journal' | 'generation' | 'cancel_remembered' | 'forgotten' | 'accepted' }
>;

function newExecution(accepted: JournalledExecution['accepted']): JournalledExecution {
  return {
    accepted,
    attempts: [],
    startedAt: null,
    cancelled: null,
    hold: null,
    heldMs: 0,
    suspended: null,
    resumesLeft: null,
    verdict: null,
    ends: null,
    outcome: null,
    isAcknowledged: false,
  };
}

function advance(execution: JournalledExecution, record: ExecutionRecord): JournalledExecution {
  switch (record.is) {
    case 'starting':
      return start(execution, record);
    case 'launched': {
      const { attempt, at, pid, startTime } = record;
      const attempts = execution.attempts.map((one) =>
        one.number === attempt ? { ...one, launched: one.launched ?? { at, pid, startTime } } : one,
      );
      return { ...execution, attempts, startedAt: firstLaunch(attempts) };
    }
    case 'cancelled':
      return { ...execution, cancelled: execution.cancelled ?? { at: record.at, reason: record.reason } };
    case 'held':
      return { ...execution, hold: record.hold, heldMs: record.heldMs };
    case 'suspended': {
      const { next, resumesLeft, hold, heldMs } = record;
      return { ...execution, suspended: { next }, resumesLeft, hold, heldMs };
    }
    // A verdict that was told once stands.
    case 'decided':
      return execution.verdict === null ? { ...execution, verdict: record.verdict, ends: record.ends } : execution;
    case 'ended': {
      if (execution.outcome !== null) return execution;
      const { outcome, ends } = record;
      return { ...execution, accepted: withoutPrompt(execution.accepted), outcome, ends };
    }
    case 'acknowledged':
      return { ...execution, isAcknowledged: true };
  }
}

/** What was about to be started and never was can be started again, with other marks; what runs cannot. */
function start(
  execution: JournalledExecution,
  { attempt: number, session, start }: Extract<JournalRecord, { is: 'starting' }>,
): JournalledExecution {
  const { attempts } = execution;
  const fresh: JournalledAttempt = { number, session, start, launched: null };
  const known = attempts.find((one) => one.number === number);
  if (known !== undefined && known.launched !== null) return execution;
  return {
    ...execution,
    attempts: known === undefined ? [...attempts, fresh] : attempts.map((one) => (one === known ? fresh : one)),
    suspended: null,
    hold: null,
  };
}

function firstLaunch(attempts: readonly JournalledAttempt[]): number | null {
  const moments = attempts.flatMap(({ launched }) => launched?.at ?? []);
  return moments.length === 0 ? null : Math.min(...moments);
}

/** What has ended is not started again: its labels are still told, its prompt is not. */
function withoutPrompt(accepted: JournalledExecution['accepted']): JournalledExecution['accepted'] {
  const { labels } = accepted.request;
  return { ...accepted, request: { prompt: '-', ...(labels === undefined ? {} : { labels }) } };
}
