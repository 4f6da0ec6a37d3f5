import { type Observation } from '@outrigger/protocol';
import { describe, expect, it } from 'vitest';
import {
  badResult,
  cancel,
  credentialFailed,
  deadline,
  everyOrder,
  exited,
  graceOver,
  idle,
  killed,
  launched,
  LIMITS,
  logsRead,
  outputLimit,
  prepared,
  result,
  slotFree,
  stderrSaid,
  tasks,
  tell,
  tellQueued,
  tellRunning,
  TO_THE_END,
  treeDead,
  turnStarted,
} from '../testing/lives.js';
import { type LifecycleEvent } from './lifecycle-state.js';

interface Case {
  title: string;
  printed?: LifecycleEvent[];
  heard: LifecycleEvent[];
  verdict: { status: string; reason: string; at: number };
}

function expectInEveryOrder({ printed = [], heard, verdict }: Case): void {
  for (const order of everyOrder(printed, heard)) {
    const { state } = tellRunning(...order, ...TO_THE_END);
    expect(state.verdict, order.map(({ type }) => type).join(', ')).toEqual(verdict);
    expect(state.phase).toBe('ended');
  }
}

const succeeded = (at: number) => ({ status: 'succeeded', reason: 'completed', at });
const failed = (reason: string, at: number) => ({ status: 'failed', reason, at });
const cancelled = (at: number, reason = 'requested') => ({ status: 'cancelled', reason, at });
const TIMED_OUT = { status: 'timed_out', reason: 'deadline', at: 200 };

describe('the verdict, in every order of arrival', () => {
  it.each<Case>([
    {
      title: 'O1: a cancel before the final result wins',
      printed: [result(200)],
      heard: [cancel(100)],
      verdict: cancelled(100),
    },
    {
      title: 'O2: a final result before the deadline wins, however late it was heard of',
      printed: [result(190)],
      heard: [deadline()],
      verdict: succeeded(190),
    },
    {
      title: 'O3: a final result after the deadline is too late',
      printed: [result(201)],
      heard: [deadline(), exited(202)],
      verdict: TIMED_OUT,
    },
    { title: 'O4: a cancel before the deadline wins', heard: [deadline(), cancel(190)], verdict: cancelled(190) },
    { title: 'O4: a cancel after the deadline is too late', heard: [deadline(), cancel(210)], verdict: TIMED_OUT },
    {
      title: 'O4: a cancel at the moment of the deadline is too late',
      heard: [deadline(), cancel(200)],
      verdict: TIMED_OUT,
    },
    {
      title: 'O6: neither exit code nor result of the kill change a deadline',
      printed: [result(206)],
      heard: [deadline(), exited(205, 143)],
      verdict: TIMED_OUT,
    },
    {
      title: 'O6: nor does a success with exit code 0 that follows a cancel',
      printed: [result(112)],
      heard: [cancel(100), exited(113)],
      verdict: cancelled(100),
    },
    {
      title: 'O7: a failure before the cancel wins',
      printed: [badResult(100)],
      heard: [cancel(110)],
      verdict: failed('agent_error', 100),
    },
    { title: 'O7: so does a crash', heard: [exited(100, 1), cancel(110)], verdict: failed('crashed', 100) },
    {
      title: 'O10: a bad result after a cancel does not decide',
      printed: [badResult(110)],
      heard: [cancel(100), exited(120, 1)],
      verdict: cancelled(100),
    },
    {
      title: 'O10: nor does a refused credential',
      printed: [credentialFailed(110), badResult(115, 'auth_invalid')],
      heard: [cancel(100), exited(120, 1)],
      verdict: cancelled(100),
    },
    {
      title: 'a drain that cancels says so',
      heard: [cancel(100, 'drained'), exited(120, null, { signal: 'SIGTERM' })],
      verdict: cancelled(100, 'drained'),
    },
    {
      title: 'O11: too much output fails a run that would have succeeded later',
      printed: [result(110)],
      heard: [outputLimit(100)],
      verdict: failed('output_limit', 100),
    },
    {
      title: 'a run that fell silent is timed out, whatever the kill makes it say',
      printed: [result(110)],
      heard: [idle(100), exited(111)],
      verdict: { status: 'timed_out', reason: 'idle', at: 100 },
    },
    {
      title: 'a result counts as of the exit at the latest',
      printed: [result(104)],
      heard: [exited(100), cancel(102)],
      verdict: succeeded(100),
    },
    {
      title: 'a result counts from when it was there',
      printed: [result(100)],
      heard: [exited(104), cancel(102)],
      verdict: succeeded(100),
    },
    {
      title: 'a refused credential is the reason from its first notice on, whatever the CLI says of it in the end',
      printed: [credentialFailed(50), credentialFailed(60, 'auth_revoked'), badResult(70, 'agent_error')],
      heard: [exited(71, 1)],
      verdict: failed('auth_invalid', 50),
    },
    {
      title: 'C8: a process killed by somebody has crashed, whatever its stream said before',
      printed: [turnStarted],
      heard: [killed(100)],
      verdict: failed('crashed', 100),
    },
    {
      title: 'C8: one killed for want of memory ran out of it',
      printed: [turnStarted],
      heard: [killed(100, { isOutOfMemory: true })],
      verdict: failed('out_of_memory', 100),
    },
    {
      title: 'C8: an end for want of memory after the final result changes nothing',
      printed: [result(90)],
      heard: [killed(100, { isOutOfMemory: true })],
      verdict: succeeded(90),
    },
  ])('$title', expectInEveryOrder);
});

describe('O13: of a run with background tasks, in every order of arrival', () => {
  /** The first result, with a task still running. */
  const START = [turnStarted, tasks(80, 1), result(100)];

  it.each<Case>([
    {
      title: 'the second result decides',
      printed: [...START, tasks(110, 0), turnStarted, result(120)],
      heard: [exited(130)],
      verdict: succeeded(120),
    },
    {
      title: 'the second result decides when it is bad, too',
      printed: [...START, tasks(110, 0), turnStarted, badResult(120, 'rate_limited')],
      heard: [exited(130, 1)],
      verdict: failed('rate_limited', 120),
    },
    {
      title: 'the second result makes up for a bad first one',
      printed: [tasks(80, 1), badResult(100), tasks(110, 0), turnStarted, result(120)],
      heard: [exited(130)],
      verdict: succeeded(120),
    },
    {
      title: 'a crash after the second result changes nothing',
      printed: [...START, tasks(110, 0), turnStarted, result(120)],
      heard: [exited(130, 1)],
      verdict: succeeded(120),
    },
    {
      title: 'a crash while the task runs is a failure',
      printed: START,
      heard: [exited(105, 1)],
      verdict: failed('crashed', 105),
    },
    {
      title: 'so is the end of a process that somebody killed',
      printed: START,
      heard: [killed(105)],
      verdict: failed('crashed', 105),
    },
    {
      title: 'so is one for want of memory',
      printed: START,
      heard: [killed(105, { isOutOfMemory: true })],
      verdict: failed('out_of_memory', 105),
    },
    {
      title: 'so is a crash between the end of the task and the turn that is due',
      printed: [...START, tasks(110, 0)],
      heard: [exited(115, 143)],
      verdict: failed('crashed', 115),
    },
    {
      title: 'so is a crash in the next turn',
      printed: [...START, tasks(110, 0), turnStarted],
      heard: [exited(115, 1)],
      verdict: failed('crashed', 115),
    },
    {
      title: 'an exit in good order in the next turn leaves it without a result',
      printed: [...START, tasks(110, 0), turnStarted],
      heard: [exited(115)],
      verdict: failed('no_result', 115),
    },
    {
      title: 'an exit in good order while the task runs makes the first result the final one',
      printed: START,
      heard: [exited(105)],
      verdict: succeeded(105),
    },
    {
      title: 'an exit in good order after the task makes it final as of the end of the task',
      printed: [...START, tasks(110, 0)],
      heard: [exited(115)],
      verdict: succeeded(110),
    },
    {
      title: 'a bad first result is what an exit leaves, whatever its code',
      printed: [tasks(80, 1), badResult(100)],
      heard: [exited(105, 1)],
      verdict: failed('agent_error', 100),
    },
    {
      title: 'a cancel while the task runs wins over the result before it',
      printed: START,
      heard: [cancel(105)],
      verdict: cancelled(105),
    },
    {
      title: 'a cancel after the last task has ended is too late',
      printed: [...START, tasks(110, 0)],
      heard: [cancel(115)],
      verdict: succeeded(110),
    },
    {
      title: 'a cancel in the next turn wins',
      printed: [...START, tasks(110, 0), turnStarted],
      heard: [cancel(115), exited(116, 143)],
      verdict: cancelled(115),
    },
    {
      title: 'a task that ended before the result is none that another turn follows',
      printed: [turnStarted, tasks(80, 1), tasks(90, 0), result(100)],
      heard: [exited(105, 1)],
      verdict: succeeded(100),
    },
    {
      title: 'the deadline passes while a task runs',
      printed: [tasks(80, 1), result(190)],
      heard: [deadline(), exited(210)],
      verdict: TIMED_OUT,
    },
    {
      title: 'a notice that no task is open, where none was, changes nothing',
      printed: [turnStarted, result(100), tasks(105, 0)],
      heard: [exited(110, 1)],
      verdict: succeeded(100),
    },
    {
      title: 'a cancel after all the time its task gets is too late, though no timer was heard of',
      printed: START,
      heard: [cancel(161)],
      verdict: succeeded(160),
    },
    {
      title: 'so is a crash',
      printed: START,
      heard: [exited(160, 1)],
      verdict: succeeded(160),
    },
    {
      title: 'and a crash after all the time the next turn gets to begin',
      printed: [...START, tasks(110, 0)],
      heard: [exited(130, 1)],
      verdict: succeeded(110),
    },
    {
      title: 'it takes the end of every task',
      printed: [tasks(80, 2), result(100), tasks(110, 1)],
      heard: [exited(115, 1)],
      verdict: failed('crashed', 115),
    },
  ])('$title', expectInEveryOrder);
});

describe('O13: a result that has waited long enough for its tasks', () => {
  const START = [tasks(80, 1), result(100), graceOver];

  it('is final, as of the moment up to which it waited', () => {
    expect(tellRunning(...START, ...TO_THE_END).state.verdict).toEqual(succeeded(100 + LIMITS.backgroundTimeoutMs));
  });

  it.each<[string, LifecycleEvent[], ReturnType<typeof succeeded>]>([
    ['a turn that begins', [turnStarted], succeeded(160)],
    ['a further task', [tasks(170, 2)], succeeded(160)],
    ['a task that ended in time', [tasks(150, 0)], succeeded(150)],
    ['a task that ended later', [tasks(165, 0)], succeeded(160)],
    ['a second result', [turnStarted, result(170)], succeeded(170)],
    ['a second result that came in time', [tasks(110, 0), turnStarted, result(120)], succeeded(120)],
    ['a second result that is bad', [turnStarted, badResult(170)], failed('agent_error', 170)],
    ['a crash', [exited(165, 1)], succeeded(160)],
  ])('stays so after %s that is read last', (_what, events, verdict) => {
    expect(tellRunning(...START, ...events, ...TO_THE_END).state.verdict).toEqual(verdict);
  });

  it.each<[string, LifecycleEvent[]]>([
    ['a turn that begins', [turnStarted]],
    ['a task', [tasks(125, 1)]],
    ['a crash', [exited(125, 1)]],
  ])('O12: as does one that had no tasks and has had its grace, after %s', (_what, events) => {
    expect(tellRunning(result(100), graceOver, ...events, ...TO_THE_END).state.verdict).toEqual(succeeded(100));
  });

  it('is no good one for having waited', () => {
    const { state } = tellRunning(tasks(80, 1), badResult(100), graceOver, ...TO_THE_END);
    expect(state.verdict).toEqual(failed('agent_error', 100));
  });
});

describe('at equal times', () => {
  it.each<Case>([
    {
      title: 'a cancel wins over a bad result',
      printed: [badResult(100)],
      heard: [cancel(100)],
      verdict: cancelled(100),
    },
    { title: 'a cancel wins over a crash', heard: [cancel(100), exited(100, 1)], verdict: cancelled(100) },
    {
      title: 'a good result wins over a cancel',
      printed: [result(100)],
      heard: [cancel(100)],
      verdict: succeeded(100),
    },
    {
      title: 'a good result wins over the deadline',
      printed: [result(200)],
      heard: [exited(200)],
      verdict: succeeded(200),
    },
    {
      title: 'the deadline wins over a bad result',
      printed: [badResult(200)],
      heard: [exited(200)],
      verdict: TIMED_OUT,
    },
    {
      title: 'the deadline wins over silence',
      heard: [idle(200), deadline()],
      verdict: TIMED_OUT,
    },
    {
      title: 'a refused credential wins over the bad result it led to',
      printed: [credentialFailed(100), badResult(100)],
      heard: [exited(100, 1)],
      verdict: failed('auth_invalid', 100),
    },
  ])('$title', expectInEveryOrder);
});

describe('the verdict', () => {
  it('O3: is the deadline even when its timer is not heard of before everything else', () => {
    const late = tellRunning(result(201), exited(202), logsRead, deadline(), treeDead());
    expect(late.state.verdict).toEqual(TIMED_OUT);
  });

  it.each([
    { exit: exited(100), reason: 'no_result' },
    { exit: exited(100, 0, { isOutOfMemory: true }), reason: 'no_result' },
    { exit: exited(100, 1), reason: 'crashed' },
    { exit: exited(100, 1, { isOutOfMemory: false }), reason: 'crashed' },
    { exit: killed(100), reason: 'crashed' },
    { exit: exited(100, null), reason: 'crashed' },
  ])('O11: an exit without a result is failed: $reason', ({ exit, reason }) => {
    expect(tellRunning(exit, ...TO_THE_END).state.verdict).toEqual(failed(reason, 100));
  });

  it('is what stderr says where the process exited badly and left no result', () => {
    const verdict = (...events: LifecycleEvent[]) =>
      tellRunning(...events, stderrSaid('resume_not_found')).state.verdict;
    expect(verdict(exited(100, 1))).toEqual(failed('resume_not_found', 100));
    expect(verdict(result(90), turnStarted, exited(100, 1))).toEqual(failed('resume_not_found', 100));
    expect(verdict(exited(100, 0))).toEqual(failed('no_result', 100));
    expect(verdict(result(90), exited(100, 1))).toEqual(succeeded(90));
    expect(verdict(badResult(90), exited(100, 1))).toEqual(failed('agent_error', 90));
    expect(verdict(cancel(90), exited(100, 1))).toEqual(cancelled(90));
    expect(verdict(deadline())).toEqual(TIMED_OUT);
    expect(tellRunning(exited(100, 1), stderrSaid(null)).state.verdict).toEqual(failed('crashed', 100));
  });

  it.each([
    ['by somebody', killed(100), 'crashed'],
    ['for want of memory', killed(100, { isOutOfMemory: true }), 'out_of_memory'],
  ])('C8: is never for a credential where the process was killed %s, whatever stderr says', (_by, exit, reason) => {
    expect(tellRunning(exit, stderrSaid('auth_invalid')).state.verdict).toEqual(failed(reason, 100));
  });

  it('O13: is that of the last of several results', () => {
    const both = tellRunning(badResult(100), result(150), exited(160), ...TO_THE_END);
    expect(both.state.verdict).toEqual(succeeded(150));
    const reverse = tellRunning(result(100), badResult(150), exited(160), ...TO_THE_END);
    expect(reverse.state.verdict).toEqual(failed('agent_error', 150));
  });

  it('waits for results that are in the log already when the process is heard to have ended', () => {
    expect(tellRunning(exited(100), result(99), ...TO_THE_END).state.verdict?.status).toBe('succeeded');
  });

  it('O6: stands once it is known, whatever the kill brings to light', () => {
    const decided = tellRunning(deadline(), logsRead);
    const more = [exited(205, 143), result(206), turnStarted, tasks(206, 1), cancel(100), credentialFailed(100)];
    const later = tell([...more, treeDead()], decided.state);
    expect(later.state.verdict).toBe(decided.state.verdict);
    expect(later.state).toMatchObject({ phase: 'ended', exit: { code: 143 }, result: null, openTasks: 0 });
  });

  it('O16: counts the time of a run from its start, so that a wait in the queue does not eat it', () => {
    const waited = (...events: LifecycleEvent[]) =>
      tellQueued(slotFree, prepared(300_001), launched(300_010), ...events, ...TO_THE_END).state.verdict;
    expect(waited(result(300_010 + 199), exited(300_010 + 201))).toEqual(succeeded(300_209));
    expect(waited(exited(300_010 + 201))).toEqual({ status: 'timed_out', reason: 'deadline', at: 300_210 });
  });
});

it.each<{ event: LifecycleEvent; observation: Observation }>([
  { event: cancel(7), observation: { kind: 'cancelled', reason: 'requested', at: 7 } },
  { event: cancel(7, 'drained'), observation: { kind: 'cancelled', reason: 'drained', at: 7 } },
  { event: deadline(), observation: { kind: 'hard_timeout', reason: 'deadline', at: 200 } },
  { event: idle(7), observation: { kind: 'hard_timeout', reason: 'idle', at: 7 } },
  { event: outputLimit(7), observation: { kind: 'failed', reason: 'output_limit', at: 7 } },
  { event: credentialFailed(7), observation: { kind: 'failed', reason: 'auth_invalid', at: 7 } },
])('$event.type is kept as what was observed', ({ event, observation }) => {
  expect(tellRunning(event).state.observations).toEqual([observation]);
  expect(tellRunning(exited(5), event).state.observations).toEqual([observation]);
});
