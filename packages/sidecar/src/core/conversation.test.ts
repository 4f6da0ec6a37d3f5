import { describe, expect, it } from 'vitest';
import {
  badResult,
  cancel,
  caughtUp,
  credentialReady,
  deadline,
  exited,
  gatewayLost,
  graceOver,
  inputEnded,
  inputFailed,
  INTERACTIVE_LIMITS,
  killed,
  launched,
  logsRead,
  message,
  names,
  ownResult,
  prepared,
  result,
  RESUME_LIMITS,
  tasks,
  tell,
  tellRunningWith,
  TO_THE_END,
  treeDead,
  turnStarted,
} from '../testing/lives.js';
import { isWaitingForMessage } from './conversation.js';
import { type Lifecycle, type LifecycleEvent, type LifecycleLimits, newLifecycle } from './lifecycle-state.js';

const run = (...events: LifecycleEvent[]) => tellRunningWith(INTERACTIVE_LIMITS, ...events);
/** What is written to the process, in order. */
const told = ({ effects }: ReturnType<typeof tell>) =>
  effects.flatMap((effect) => (effect.do === 'tell_message' ? [effect.message.text] : []));
const verdictOf = (...events: LifecycleEvent[]) => run(...events, ...TO_THE_END).state.verdict;
const graceOf = (...events: LifecycleEvent[]) =>
  run(...events).effects.findLast((effect) => effect.do === 'set_grace')?.at;

describe('what is said to a run', () => {
  it('waits for the result of the turn that goes on, and is told in its order, one turn at a time', () => {
    const asked = [turnStarted, message(10, 'a'), message(11, 'b')];
    expect(told(run(...asked))).toEqual([]);
    expect(told(run(...asked, result(20)))).toEqual(['a']);
    expect(told(run(...asked, result(20), turnStarted, result(30)))).toEqual(['a', 'b']);
  });

  it('is told at once while nothing is being done', () => {
    expect(told(run(turnStarted, result(20), message(30)))).toEqual(['m']);
  });

  it('waits for the process before it is started, queued or not', () => {
    const before = tell([message(1, 'a')], newLifecycle(INTERACTIVE_LIMITS, 'queued'));
    expect(before.state.conversation?.pending).toEqual([{ messageId: 'a', text: 'a' }]);
    const life = [{ type: 'slot_free' } as const, prepared(), message(2, 'b'), launched(3), turnStarted, result(9)];
    expect(told(tell(life, before.state))).toEqual(['a']);
  });

  it('is not told within a turn that the run has begun by itself, whose result is no answer', () => {
    const task = [turnStarted, tasks(5, 1), result(10), tasks(15, 0), turnStarted];
    expect(told(run(...task, message(20)))).toEqual([]);
    expect(told(run(...task, message(20), ownResult(30)))).toEqual(['m']);
    const late = run(turnStarted, tasks(5, 1), result(10), message(12), tasks(15, 0), ownResult(20), message(21, 'n'));
    expect(told(late)).toEqual(['m']);
  });

  it('is not heard by a run that is being ended, has ended, or is not interactive', () => {
    for (const end of [[cancel(10)], [result(10), inputEnded(12)], [cancel(10), ...TO_THE_END]]) {
      const before = run(turnStarted, ...end);
      expect(tell([message(20)], before.state).state).toEqual(before.state);
    }
    const other = tellRunningWith({ ...INTERACTIVE_LIMITS, interactiveIdleMs: null });
    expect(tell([message(20), inputEnded(21)], other.state)).toEqual({ state: other.state, effects: [] });
  });

  it('comes too late once the time to say something was over, though its timer was not heard of yet (I7)', () => {
    const before = run(turnStarted, result(10));
    expect(told(tell([message(59)], before.state))).toEqual(['m']);
    expect(told(tell([message(60)], before.state))).toEqual([]);
  });

  it('that cannot be written ends the run', () => {
    const { state } = run(turnStarted, result(10), message(20), inputFailed(21), ...TO_THE_END);
    expect(state).toMatchObject({ verdict: { reason: 'crashed', at: 21 }, launchError: 'no such file: stdin' });
  });
});

describe('an interactive run', () => {
  it('is done when nobody has said anything for its idle time after a result', () => {
    expect(graceOf(turnStarted, result(10))).toBe(60);
    const { state, effects } = run(turnStarted, result(10), graceOver, logsRead);
    expect(state.verdict).toEqual({ status: 'succeeded', reason: 'completed', at: 60 });
    expect(effects.at(-1)).toEqual({ do: 'kill', graceMs: INTERACTIVE_LIMITS.graceMs });
  });

  it('goes on where somebody does, and waits anew after each result', () => {
    expect(graceOf(turnStarted, result(10), message(40))).toBeNull();
    expect(graceOf(turnStarted, result(10), message(40), turnStarted, result(70))).toBe(120);
  });

  it('is done at once when nothing more is to be said, and when the last answer is there', () => {
    expect(graceOf(turnStarted, result(10), inputEnded(20))).toBe(20);
    expect(verdictOf(turnStarted, result(10), inputEnded(20), graceOver)).toMatchObject({
      reason: 'completed',
      at: 20,
    });
    const early = [inputEnded(5), turnStarted, result(10)];
    expect(verdictOf(...early, graceOver)).toMatchObject({ reason: 'completed', at: 10 });
    const twoLeft = [turnStarted, message(1, 'a'), message(2, 'b'), inputEnded(5), result(10)];
    expect(graceOf(...twoLeft)).toBeUndefined();
    const answered = [...twoLeft, turnStarted, result(20), turnStarted, result(30)];
    expect(verdictOf(...answered, graceOver)).toMatchObject({ reason: 'completed', at: 30 });
  });

  it('waits for its background tasks and the turn that their end leads to, though nothing more is to be said', () => {
    const working = [turnStarted, tasks(5, 1), result(10), inputEnded(12)];
    expect(graceOf(...working)).toBe(10 + INTERACTIVE_LIMITS.backgroundTimeoutMs);
    expect(graceOf(...working, tasks(30, 0))).toBe(30 + INTERACTIVE_LIMITS.graceMs);
    expect(verdictOf(...working, tasks(30, 0), turnStarted, ownResult(45), graceOver)).toMatchObject({ at: 45 });
  });

  it('succeeds or fails by its last turn, and goes on after one that has failed', () => {
    const recovered = [turnStarted, badResult(10), message(20), turnStarted, result(30), inputEnded(40)];
    expect(verdictOf(...recovered, graceOver)).toMatchObject({ reason: 'completed', at: 40 });
    expect(verdictOf(turnStarted, badResult(10), inputEnded(40), graceOver)).toMatchObject({
      status: 'failed',
      reason: 'agent_error',
      at: 40,
    });
  });

  it('is cancelled, or times out, while it waits for somebody: it was not done', () => {
    expect(verdictOf(turnStarted, result(10), cancel(30))).toMatchObject({ status: 'cancelled', at: 30 });
    expect(verdictOf(turnStarted, result(480), deadline(500))).toMatchObject({ reason: 'deadline', at: 500 });
  });

  it('keeps its success where it was done before it was cancelled, whichever was heard of first (O1)', () => {
    expect(verdictOf(turnStarted, result(10), inputEnded(20), cancel(30))).toMatchObject({ reason: 'completed' });
    expect(verdictOf(turnStarted, result(10), cancel(70))).toMatchObject({ reason: 'completed', at: 60 });
  });

  it('has crashed when its process dies while somebody may still say something', () => {
    expect(verdictOf(turnStarted, result(10), killed(30))).toMatchObject({ reason: 'crashed', at: 30 });
    expect(verdictOf(turnStarted, result(10), exited(30, 1))).toMatchObject({ reason: 'crashed' });
    expect(verdictOf(turnStarted, result(10), exited(30, 0))).toMatchObject({ reason: 'completed', at: 30 });
    expect(verdictOf(turnStarted, result(10), exited(30, null))).toMatchObject({ reason: 'completed', at: 30 });
  });

  it('has no result when it exits before it has answered everything', () => {
    expect(verdictOf(turnStarted, result(10), message(20), exited(30, 0))).toMatchObject({ reason: 'no_result' });
    expect(verdictOf(turnStarted, result(10), message(20), killed(30))).toMatchObject({ reason: 'crashed' });
  });

  it('waits for somebody only when it has nothing to do and was told nothing', () => {
    const isWaiting = (...events: LifecycleEvent[]) => isWaitingForMessage(run(...events).state);
    expect(isWaiting()).toBe(false);
    expect(isWaiting(turnStarted)).toBe(false);
    expect(isWaiting(turnStarted, result(10))).toBe(true);
    expect(isWaiting(turnStarted, result(10), turnStarted)).toBe(false);
    expect(isWaiting(turnStarted, result(10), message(20))).toBe(false);
    expect(isWaiting(turnStarted, result(10), exited(20))).toBe(false);
    expect(isWaitingForMessage(tellRunningWith(RESUME_LIMITS, turnStarted, result(10)).state)).toBe(false);
  });
});

describe('a conversation that another process goes on with', () => {
  const limits: LifecycleLimits = { ...RESUME_LIMITS, interactiveIdleMs: 50 };
  const resumed = (...events: LifecycleEvent[]) =>
    tell([logsRead, treeDead(100), credentialReady(101)], tellRunningWith(limits, ...events).state);
  const asked = ({ conversation }: Lifecycle) => conversation?.asked ?? null;
  const refused = badResult(40, 'auth_expired');

  it('is ended at once by a refused credential, and goes on with the turn that was cut', () => {
    const { state } = resumed(turnStarted, result(10), message(20), turnStarted, refused, graceOver);
    expect(state).toMatchObject({ phase: 'preparing', attempt: 2, session: 'resume' });
    expect(asked(state)).toMatchObject({ what: 'resume_prompt', message: { messageId: 'm' }, after: 0 });
    expect(graceOf(turnStarted, refused)).toBe(40);
  });

  it('tells the message itself where its turn had not begun', () => {
    const { state } = resumed(turnStarted, result(10), message(20), gatewayLost(30));
    expect(asked(state)).toMatchObject({ what: 'message', message: { text: 'm' } });
  });

  it('tells nothing between two turns, and is done by what was answered before', () => {
    const lost = tellRunningWith(limits, turnStarted, result(10), gatewayLost(30), logsRead);
    const { state, effects } = tell([treeDead(40), prepared(41), launched(42)], lost.state);
    expect([state.attempt, asked(state)]).toEqual([2, null]);
    expect(effects).toContainEqual({ do: 'set_grace', at: 60 });
    expect(told(tell([message(50)], state))).toEqual(['m']);
    expect(tell([graceOver, ...TO_THE_END], state).state.verdict).toMatchObject({ reason: 'completed', at: 60 });
    // No process is started for what is over meanwhile.
    expect(tell([treeDead(60)], lost.state).state).toMatchObject({ phase: 'ended', verdict: { at: 60 } });
  });

  it('begins with the prompt where the session was not known before its first answer, and is lost where it was later', () => {
    const unknown = [prepared(102), launched(103), badResult(104, 'resume_not_found'), exited(105, 1), logsRead];
    const first = tell([...unknown, treeDead(106)], resumed(turnStarted, refused, graceOver).state);
    expect(first.state).toMatchObject({ attempt: 3, session: 'start' });
    expect(asked(first.state)).toMatchObject({ what: 'prompt', message: null });
    const later = tell(unknown, resumed(turnStarted, result(10), message(20), turnStarted, refused, graceOver).state);
    expect(later.state.verdict).toMatchObject({ status: 'failed', reason: 'resume_not_found' });
  });

  it('keeps what is said between two attempts', () => {
    const before = tellRunningWith(limits, turnStarted, refused, graceOver, logsRead, message(50));
    expect(before.state.conversation?.pending).toHaveLength(1);
    const { effects } = tell(
      [treeDead(100), credentialReady(101), prepared(), launched(102), turnStarted, result(110)],
      before.state,
    );
    expect(names(effects)).toContain('tell_message');
  });
});

describe('a message that another sidecar was about to write', () => {
  const doubtful = (): Lifecycle => {
    const { state } = run(turnStarted, result(10), message(20));
    const { conversation } = state;
    const asked = conversation?.asked;
    if (conversation === null || asked == null) throw new Error('nothing was told');
    const restored = { ...conversation, results: 0, asked: { ...asked, isDoubtful: true } };
    return { ...state, result: null, conversation: restored };
  };

  it('is written again where no turn has begun since in all that was printed', () => {
    expect(told(tell([turnStarted, result(10), caughtUp], doubtful()))).toEqual(['m']);
    expect(told(tell([turnStarted, result(10), caughtUp, caughtUp], doubtful()))).toEqual(['m']);
  });

  it('is not where one has, or has ended', () => {
    expect(told(tell([turnStarted, result(10), turnStarted, caughtUp], doubtful()))).toEqual([]);
    const answered = tell([turnStarted, result(10), turnStarted, result(30), caughtUp], doubtful());
    expect(told(answered)).toEqual([]);
    expect(answered.state.conversation?.asked).toBeNull();
  });
});
