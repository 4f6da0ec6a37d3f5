import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { accepted } from '../testing/journal-records.js';
import {
  badResult,
  caughtUp,
  gatewayLost,
  inputEnded,
  launched,
  logsRead,
  message,
  prepared,
  result,
  RESUME_LIMITS,
  tell,
  treeDead,
  turnStarted,
} from '../testing/lives.js';
import { foldJournal } from './journal-fold.js';
import { notesOf } from './journal-notes.js';
import { restoreLife } from './journal-restore.js';
import { recordsOf } from './journal-records.js';
import { type JournalRecord } from './journal-state.js';
import { type Lifecycle, type LifecycleEvent, newLifecycle } from './lifecycle-state.js';
import { step } from './lifecycle.js';

const limits = { ...RESUME_LIMITS, interactiveIdleMs: 50 };
const start = { marks: {}, placeholderHash: null, gatewayPort: null, settings: null };

/** A life with all that is written down of it. */
function writeDown(events: readonly LifecycleEvent[]): { records: JournalRecord[]; state: Lifecycle } {
  let state = newLifecycle(limits);
  const records: JournalRecord[] = [{ ...accepted('a'), request: { prompt: 'talk', interactive: true } }];
  for (const event of events) {
    const before = state;
    if (event.type === 'message') records.push({ is: 'message', id: 'a', digest: 'd', ...event.message });
    state = step(before, event).state;
    if (before.phase === 'preparing' && state.phase === 'spawning') {
      const { attempt, session } = state;
      records.push({ is: 'starting', id: 'a', attempt, session, sessionId: 's', start });
    }
    if (event.type === 'launched') {
      records.push({ is: 'launched', id: 'a', attempt: state.attempt, at: event.at, pid: 1, startTime: '1' });
    }
    records.push(...notesOf({ id: 'a', before, after: state, ends: () => [] }));
  }
  return { records, state };
}

/** What another sidecar makes of it, before and after it has read again what the process has printed. */
function restored(...events: LifecycleEvent[]) {
  const { records } = writeDown(events);
  const execution = foldJournal(recordsOf(foldJournal(records))).executions.get('a');
  if (execution === undefined) throw new Error('it is not known');
  return restoreLife(execution, { limits, queueTimeoutMs: 100, nowMs: 60 }).state;
}

const RUNNING = [prepared(), launched(1), turnStarted];
const toldIn = (events: readonly LifecycleEvent[], from: Lifecycle) =>
  tell(events, from).effects.flatMap((effect) => (effect.do === 'tell_message' ? [effect.message.messageId] : []));

describe('what was said to a run whose sidecar was killed', () => {
  it('is told as it would have been, in its order', () => {
    const state = restored(...RUNNING, message(10, 'a'), message(11, 'b'), inputEnded(12));
    expect(state.conversation).toMatchObject({ endAskedAt: 12, asked: { what: 'prompt' } });
    const print = [launched(1), turnStarted, result(20), caughtUp, turnStarted, result(30)];
    expect(toldIn(print, state)).toEqual(['a', 'b']);
  });

  it('is told though the process was not started yet', () => {
    expect(restored(message(1, 'a')).conversation).toMatchObject({ pending: [{ messageId: 'a', text: 'a' }] });
  });

  it('is not told again where its turn has begun, whatever was printed before', () => {
    const state = restored(...RUNNING, result(5), message(10, 'a'), message(11, 'b'));
    expect(state.conversation?.asked).toMatchObject({ message: { messageId: 'a', text: 'a' }, after: 1 });
    const begun = [launched(1), turnStarted, result(5), turnStarted];
    expect(toldIn([...begun, caughtUp], state)).toEqual([]);
    expect(toldIn([...begun, caughtUp, result(30)], state)).toEqual(['b']);
    expect(toldIn([...begun, result(30), caughtUp], state)).toEqual(['b']);
  });

  it('is told again where it has not', () => {
    const state = restored(...RUNNING, result(5), message(10, 'a'), message(11, 'b'));
    expect(toldIn([launched(1), turnStarted, result(5), caughtUp], state)).toEqual(['a']);
  });

  it('is what the next process is told, or goes on with', () => {
    const refused = badResult(20, 'auth_expired');
    const second = [...RUNNING, result(5), message(10, 'a')];
    const suspend = [{ type: 'grace_over' } as const, logsRead];
    const cut = restored(...second, turnStarted, refused, ...suspend);
    expect(cut).toMatchObject({ phase: 'suspending', conversation: { asked: { what: 'resume_prompt' } } });
    expect(cut.conversation?.asked?.message).toEqual({ messageId: 'a', text: 'a' });
    const unheard = restored(...second, gatewayLost(12), logsRead, treeDead(13), prepared(14));
    expect(unheard).toMatchObject({ attempt: 2, conversation: { asked: { what: 'message', isDoubtful: false } } });
    const nothing = restored(...RUNNING, result(5), gatewayLost(12), logsRead, treeDead(13), prepared(14));
    expect(nothing).toMatchObject({ result: { at: 5 }, conversation: { asked: null } });
    expect(toldIn([launched(14), message(20, 'b')], nothing)).toEqual(['b']);
  });

  it('is forgotten once it is answered, but for its digest', () => {
    const { records } = writeDown([...RUNNING, message(3, 'a'), message(4, 'b'), result(5), turnStarted, result(6)]);
    const textsOf = (more: JournalRecord[]) =>
      foldJournal([...records, ...more])
        .executions.get('a')
        ?.input?.messages.map(({ messageId, digest, text }) => [messageId, digest, text]);
    expect(textsOf([])).toEqual([
      ['a', 'd', null],
      ['b', 'd', 'b'],
    ]);
  });
});

/** A CLI that takes one message after the other, and a sidecar that can be killed before and after it has written one. */
class World {
  readonly sent: string[] = [];
  readonly heard: string[] = [];
  readonly records: JournalRecord[] = [{ ...accepted('a'), request: { prompt: 'talk', interactive: true } }];
  /** Written and not looked at; then what it has printed. */
  readonly #pipe: string[] = ['prompt'];
  readonly #printed: LifecycleEvent[] = [];
  #state = newLifecycle(limits);
  #isKilledBeforeWriting = false;

  constructor() {
    this.records.push({ is: 'starting', id: 'a', attempt: 1, session: 'start', sessionId: 's', start });
    this.records.push({ is: 'launched', id: 'a', attempt: 1, at: 1, pid: 1, startTime: '1' });
    [prepared(), launched(1)].forEach((event) => this.#tell(event));
  }

  send(): void {
    const messageId = `m${this.sent.length}`;
    this.sent.push(messageId);
    this.records.push({ is: 'message', id: 'a', messageId, digest: 'd', text: messageId });
    this.#tell(message(2, messageId));
  }

  /** The CLI begins a turn if it can, or ends the one that goes on. */
  work(): void {
    if (this.#printed.at(-1) === turnStarted) this.#print(result(3));
    else if (this.#pipe.length > 0) {
      this.heard.push(this.#pipe.shift() ?? '');
      this.#print(turnStarted);
    }
  }

  killBeforeNextWrite(): void {
    this.#isKilledBeforeWriting = true;
  }

  /** The CLI has looked at what was written by the time the next sidecar is up. */
  restart(): void {
    if (this.#printed.at(-1) !== turnStarted) this.work();
    const execution = foldJournal(recordsOf(foldJournal(this.records))).executions.get('a');
    if (execution === undefined) throw new Error('it is not known');
    this.#state = restoreLife(execution, { limits, queueTimeoutMs: 100, nowMs: 4 }).state;
    [launched(1), ...this.#printed, caughtUp].forEach((event) => this.#tell(event));
  }

  #print(event: LifecycleEvent): void {
    this.#printed.push(event);
    this.#tell(event);
  }

  #tell(event: LifecycleEvent): void {
    const before = this.#state;
    const { state, effects } = step(before, event);
    this.#state = state;
    this.records.push(...notesOf({ id: 'a', before, after: state, ends: () => [] }));
    for (const effect of effects) {
      if (effect.do !== 'tell_message') continue;
      if (this.#isKilledBeforeWriting) {
        this.#isKilledBeforeWriting = false;
        this.restart();
        return;
      }
      this.#pipe.push(effect.message.messageId);
    }
  }
}

it('R1: whenever the sidecar is killed, each message is heard once and in order', () => {
  const action = fc.constantFrom('send', 'send', 'work', 'work', 'killBeforeNextWrite', 'restart');
  fc.assert(
    fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
      const world = new World();
      actions.forEach((name) => world[name as 'send']());
      for (let n = 0; n < 4 * actions.length + 4; n++) world.work();
      expect(world.heard).toEqual(['prompt', ...world.sent]);
    }),
    { numRuns: 500 },
  );
});
