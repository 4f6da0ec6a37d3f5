/** Records of a journal, for tests: any of them, in any order. */
import { type Outcome, type Verdict } from '@outrigger/protocol';
import fc from 'fast-check';
import { type Hold, type SessionUse } from '../core/lifecycle-state.js';
import { JOURNAL_VERSION, type JournalRecord } from '../core/journal-state.js';

export const HEADER = {
  is: 'journal',
  version: JOURNAL_VERSION,
  journalId: 'journal-1',
  machineBootId: 'boot-1',
  epochAtZeroMs: 1_600_000_000_000,
} as const satisfies JournalRecord;

export const accepted = (id: string, prompt = 'do it') =>
  ({
    is: 'accepted',
    id,
    digest: `digest of ${id}`,
    request: { prompt, labels: { team: 'a' } },
    sessionId: `session of ${id}`,
    acceptedAtEpochMs: 1_700_000_000_000,
    acceptedAtMs: 1000,
    isQueued: false,
  }) as const satisfies JournalRecord;

export const VERDICT: Verdict = { status: 'cancelled', reason: 'requested', at: 1 };

export const outcomeOf = (id: string): Outcome => ({
  executionId: id,
  status: 'succeeded',
  reason: 'completed',
  message: 'done',
  retryable: false,
  exit: { code: 0, signal: null },
  survivors: 0,
  attempts: 1,
  acceptedAt: 1,
  endedAt: 2,
  closedAt: 3,
  heldMs: 0,
});

const id = fc.constantFrom('a', 'b', 'c');
const at = fc.nat({ max: 100 });
const attempt = fc.integer({ min: 1, max: 3 });
const session = fc.constantFrom<SessionUse>('start', 'resume');
const ends = fc.option(fc.array(fc.record({ stdout: at, stderr: at }), { maxLength: 2 }));
const start = fc.record({
  marks: fc.dictionary(fc.constantFrom('cgroup', 'rlimit'), fc.string(), { noNullPrototype: true }),
  placeholderHash: fc.option(fc.string()),
  gatewayPort: fc.option(at),
  settings: fc.option(fc.string()),
});
const refusal = fc.record({
  reason: fc.constant('auth_expired' as const),
  message: fc.string(),
  generation: fc.option(at),
});
const hold: fc.Arbitrary<Hold | null> = fc.option(fc.record({ since: at, until: at, refusal }));
const failure = fc.option(
  fc.record({ kind: fc.constant('failed' as const), reason: fc.constant('auth_expired' as const), at }),
);

const messageId = fc.constantFrom('m', 'n', 'o');
const reopened = fc.record({
  asked: fc.option(
    fc.record({ what: fc.constantFrom('prompt' as const, 'message' as const), messageId: fc.option(messageId) }),
  ),
  result: fc.option(fc.record({ at, failure: fc.constant(null) })),
});

/** Prompts hold characters of every length in bytes. */
export const anyRecord: fc.Arbitrary<JournalRecord> = fc.oneof(
  fc.constantFrom<JournalRecord>(HEADER, { ...HEADER, journalId: 'journal-2', machineBootId: 'boot-2' }),
  fc.tuple(id, fc.string({ unit: 'binary' })).map(([one, prompt]) => accepted(one, prompt)),
  fc.record({ is: fc.constant('withdrawn' as const), id }),
  fc.record({ is: fc.constant('starting' as const), id, attempt, session, sessionId: fc.string(), start }),
  fc.record({ is: fc.constant('launched' as const), id, attempt, at, pid: at, startTime: fc.string() }),
  fc.record({
    is: fc.constant('cancelled' as const),
    id,
    at,
    reason: fc.constantFrom('requested' as const, 'drained' as const),
  }),
  id.map((one) => ({ ...accepted(one), request: { prompt: 'talk', interactive: true } })),
  fc.record({ is: fc.constant('message' as const), id, messageId, digest: fc.string(), text: fc.option(fc.string()) }),
  fc.record({ is: fc.constant('told' as const), id, attempt, messageId, after: at }),
  fc.record({ is: fc.constant('input_ended' as const), id, at }),
  fc.record({ is: fc.constant('held' as const), id, heldMs: at, hold }),
  fc.record({
    is: fc.constant('suspended' as const),
    id,
    next: session,
    failure,
    resumesLeft: at,
    hold,
    heldMs: at,
    ends,
    reopened,
  }),
  fc.record({ is: fc.constant('used' as const), id, credential: fc.record({ id, generation: at }) }),
  fc.record({
    is: fc.constant('decided' as const),
    id,
    verdict: at.map((moment) => ({ ...VERDICT, at: moment })),
    refusal: fc.option(refusal),
    ends,
  }),
  fc.tuple(id, ends).map(([one, where]) => ({ is: 'ended' as const, id: one, outcome: outcomeOf(one), ends: where })),
  fc.record({ is: fc.constant('acknowledged' as const), id }),
  fc.record({ is: fc.constant('forgotten' as const), id, digest: fc.string(), at }),
  fc.record({ is: fc.constant('generation' as const), generation: at, credential: fc.option(fc.string()) }),
  fc.record({ is: fc.constant('fence' as const), fence: fc.nat() }),
  fc.record({ is: fc.constant('cancel_remembered' as const), id, at }),
);
