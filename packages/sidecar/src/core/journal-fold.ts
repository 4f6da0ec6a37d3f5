import { forgetTexts, newInput, takeInput } from './journal-input.js';
import {
  type JournalledAttempt,
  type JournalledExecution,
  type JournalRecord,
  type JournalState,
} from './journal-state.js';

/** Beyond these the oldest go first. */
export const TOMBSTONES_MAX = 100_000;
export const REMEMBERED_CANCELS_MAX = 10_000;

/**
 * What a journal's records amount to, record by record. One about an execution that was never accepted is left out, and
 * one that is repeated changes nothing.
 */
export class JournalFold {
  readonly #executions = new Map<string, JournalledExecution>();
  readonly #tombstones = new Map<string, { digest: string; at: number }>();
  readonly #rememberedCancels = new Map<string, number>();
  #header: Extract<JournalRecord, { is: 'journal' }> | null = null;
  #generation: JournalState['generation'] = null;
  #fence = 0;

  constructor(records: Iterable<JournalRecord> = []) {
    for (const record of records) this.take(record);
  }

  /** As it stands now; what is taken later shows in it. */
  get state(): JournalState {
    const header = this.#header;
    return {
      journalId: header?.journalId ?? null,
      machineBootId: header?.machineBootId ?? null,
      epochAtZeroMs: header?.epochAtZeroMs ?? null,
      generation: this.#generation,
      fence: this.#fence,
      executions: this.#executions,
      tombstones: this.#tombstones,
      rememberedCancels: this.#rememberedCancels,
    };
  }

  /** Leaves out what is not to be remembered for longer, by when it was written down. */
  expire({ cancelsBefore, tombstonesBefore }: { cancelsBefore: number; tombstonesBefore: number }): void {
    for (const [id, at] of this.#rememberedCancels) if (at < cancelsBefore) this.#rememberedCancels.delete(id);
    for (const [id, { at }] of this.#tombstones) if (at < tombstonesBefore) this.#tombstones.delete(id);
  }

  take(record: JournalRecord): void {
    const executions = this.#executions;
    switch (record.is) {
      case 'journal':
        this.#header ??= record;
        break;
      case 'generation':
        if (record.generation < (this.#generation?.number ?? 0)) break;
        this.#generation = { number: record.generation, credential: record.credential };
        break;
      case 'fence':
        this.#fence = Math.max(this.#fence, record.fence);
        break;
      case 'cancel_remembered':
        if (!executions.has(record.id)) putLast(this.#rememberedCancels, record.id, record.at, REMEMBERED_CANCELS_MAX);
        break;
      case 'forgotten':
        executions.delete(record.id);
        putLast(this.#tombstones, record.id, { digest: record.digest, at: record.at }, TOMBSTONES_MAX);
        break;
      case 'withdrawn':
        executions.delete(record.id);
        break;
      case 'accepted':
        if (executions.has(record.id)) break;
        // Who was forgotten for good can be accepted anew.
        this.#tombstones.delete(record.id);
        this.#rememberedCancels.delete(record.id);
        executions.set(record.id, newExecution(record));
        break;
      default: {
        const execution = executions.get(record.id);
        if (execution !== undefined) executions.set(record.id, advance(execution, record));
      }
    }
  }
}

/** Puts an entry behind all others, and leaves out the first where there are too many. */
function putLast<T>(map: Map<string, T>, id: string, value: T, max: number): void {
  map.delete(id);
  map.set(id, value);
  const [oldest] = map.keys();
  if (map.size > max && oldest !== undefined) map.delete(oldest);
}

export function foldJournal(records: Iterable<JournalRecord>): JournalState {
  return new JournalFold(records).state;
}

type ExecutionRecord = Exclude<
  JournalRecord,
  { is: 'journal' | 'generation' | 'fence' | 'cancel_remembered' | 'forgotten' | 'withdrawn' | 'accepted' }
>;

function newExecution(accepted: JournalledExecution['accepted']): JournalledExecution {
  return {
    accepted,
    attempts: [],
    startedAt: null,
    cancelled: null,
    input: accepted.request.interactive === true ? newInput() : null,
    hold: null,
    heldMs: 0,
    suspended: null,
    resumesLeft: null,
    credential: null,
    verdict: null,
    refusal: null,
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
    case 'message':
    case 'told':
    case 'input_ended': {
      const input = execution.input && takeInput(execution.input, record);
      // Nobody is told any more.
      return { ...execution, input: input && execution.outcome !== null ? forgetTexts(input) : input };
    }
    case 'held':
      return { ...execution, hold: record.hold, heldMs: record.heldMs };
    case 'suspended': {
      const { next, failure, resumesLeft, hold, heldMs, ends, reopened = null } = record;
      const input = execution.input && { ...execution.input, reopened };
      return { ...execution, suspended: { next, failure }, resumesLeft, hold, heldMs, ends, input };
    }
    case 'used':
      return { ...execution, credential: record.credential };
    // A verdict that was told once stands.
    case 'decided': {
      const { verdict, refusal, ends } = record;
      return execution.verdict === null ? { ...execution, verdict, refusal, ends } : execution;
    }
    case 'ended': {
      if (execution.outcome !== null) return execution;
      const { outcome, ends } = record;
      const input = execution.input && forgetTexts(execution.input);
      return { ...execution, accepted: withoutPrompt(execution.accepted), input, outcome, ends };
    }
    case 'acknowledged':
      return { ...execution, isAcknowledged: true };
    // A later version may write what this one need not understand; where it must, the version of the journal is another one.
    default:
      return execution;
  }
}

/** What was about to be started and never was can be started again, with other marks; what runs cannot. */
function start(
  execution: JournalledExecution,
  { attempt: number, session, sessionId, start }: Extract<JournalRecord, { is: 'starting' }>,
): JournalledExecution {
  const { attempts } = execution;
  const fresh: JournalledAttempt = { number, session, sessionId, start, launched: null };
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
  const { labels, interactive } = accepted.request;
  const kept = { ...(labels === undefined ? {} : { labels }), ...(interactive === undefined ? {} : { interactive }) };
  return { ...accepted, request: { prompt: '-', ...kept } };
}
