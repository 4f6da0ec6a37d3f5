import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate, setTimeout } from 'node:timers/promises';
import { type DispatchRequest, type Outcome, WireError } from '@outrigger/protocol';
import { expect, it } from 'vitest';
// 2,000 sidecar processes would take minutes; what admits and drains is the supervisor, and it starts real processes.
import { Supervisor, type SupervisorOptions } from '../packages/sidecar/src/supervision/supervisor.js';
import { supervisorOptions } from '../packages/sidecar/src/testing/supervising.js';
import { RawClient } from './support/raw-client.js';
import { temporaryFolder } from './support/runs.js';
import { startSidecar } from './support/sidecar.js';

const INTERLEAVINGS = 2000;
const AT_ONCE = 8;
const RESULT = '{"type":"result","subtype":"success","is_error":false,"result":"Done."}';
/** The least of a CLI: its prompt says whether it ends well, badly, or not by itself. */
const CLAUDE = `#!/bin/sh
read -r prompt
case "$prompt" in
  good) echo '${RESULT}' ;;
  bad) exit 1 ;;
  *) exec sleep 600 ;;
esac
`;
const PROMPTS = ['good', 'good', 'bad', 'hang'] as const;
const WHEN_BUSY = ['refuse', 'queue', 'skip'] as const;

/** Numbers that look random and are the same for the same seed: a linear congruential generator. */
function randomOf(seed: number) {
  let state = seed;
  const below = (n: number) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * n);
  };
  return { below, pick: <T>(items: readonly T[]) => items[below(items.length)] as T };
}

/** What one interleaving saw. */
class Observer {
  readonly outcomes = new Map<string, Outcome[]>();
  readonly refused = new Set<string>();
  readonly accepted = new Set<string>();
  readonly violations: string[] = [];
  isKillAllowed = false;
  /** Who may be started: while a drain stands, those that held a slot when it was answered. */
  #mayStart: ReadonlySet<string> | null = null;
  readonly supervisor: Supervisor;

  constructor(options: SupervisorOptions) {
    this.supervisor = new Supervisor(options);
    this.supervisor.on('state', (run) => {
      const { state } = run.summary();
      if (state === 'starting' || state === 'running') this.#onStarted(run.id, state);
    });
    this.supervisor.on('outcome', (run, outcome) => {
      this.outcomes.set(run.id, [...(this.outcomes.get(run.id) ?? []), outcome]);
      if (outcome.reason === 'drained' && !this.isKillAllowed) this.violations.push(`${run.id} was killed`);
      if (outcome.attempts > 0 && this.#mayStart?.has(run.id) === false) this.violations.push(`${run.id} ran`);
    });
  }

  #onStarted(id: string, state: string): void {
    // What is skipped is "starting" for the length of the call that records it.
    if (state === 'running' && this.#mayStart?.has(id) === false) this.violations.push(`${id} was started`);
  }

  /** Admission is decided in the call itself, whenever its answer comes. */
  async dispatch(id: string, request: DispatchRequest): Promise<void> {
    const mayStart = this.#mayStart;
    try {
      const { state } = await this.supervisor.dispatch(id, request);
      this.accepted.add(id);
      if (mayStart?.has(id) === false && state !== 'ended') this.violations.push(`${id} was admitted`);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      if (error.code !== 'execution_conflict') this.refused.add(id);
    }
  }

  drain(deadlineMs: number, atDeadline: 'leave' | 'cancel'): void {
    this.isKillAllowed ||= atDeadline === 'cancel';
    this.#mayStart ??= new Set(this.supervisor.drain({ deadlineMs, atDeadline }).remaining);
    const { live, queued } = this.supervisor.counts();
    if (live > this.#mayStart.size || queued > 0) this.violations.push(`${live} live, ${queued} queued while draining`);
  }

  terminate(timeoutMs: number): Promise<void> {
    this.isKillAllowed = true;
    const idle = this.supervisor.stop(timeoutMs);
    this.#mayStart ??= new Set(this.supervisor.obstacles.drain?.remaining);
    return idle;
  }

  resume(): void {
    try {
      this.supervisor.resumeAdmission();
      this.#mayStart = null;
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
    }
  }
}

async function interleave(options: SupervisorOptions, seed: number): Promise<Observer> {
  const random = randomOf(seed);
  const observer = new Observer(options);
  const ids = [1, 2, 3, 4].map((n) => `s${seed}-${n}`);
  const stopped: Promise<void>[] = [];
  const answers: Promise<void>[] = [];
  const dispatch = () => {
    const request = { prompt: random.pick(PROMPTS), whenBusy: random.pick(WHEN_BUSY), graceMs: 1000 };
    answers.push(observer.dispatch(random.pick(ids), request));
  };
  const steps: readonly (() => unknown)[] = [
    dispatch,
    dispatch,
    dispatch,
    () => void observer.supervisor.cancel(random.pick(ids)),
    () => observer.drain(random.below(6), random.pick(['leave', 'cancel'])),
    () => observer.drain(60_000, 'leave'),
    () => observer.resume(),
    () => void stopped.push(observer.terminate(random.pick([0, 3, 60_000]))),
    () => setImmediate(),
    () => setTimeout(random.below(8)),
  ];
  dispatch();
  for (let n = 0; n < 10; n++) await random.pick(steps)();
  // Some of what is left gets the time to end by itself; the rest ends as with a second SIGTERM.
  await Promise.all([...answers, ...stopped, observer.terminate(random.pick([0, 0, 100]))]);
  // The last outcome is told once it is on the disk.
  await observer.supervisor.settle();
  return observer;
}

it('however dispatches, cancels, drains and SIGTERMs fall together, each is refused or ends, and nothing starts while it drains (D5, I10)', async () => {
  const folder = temporaryFolder();
  writeFileSync(join(folder, 'claude'), CLAUDE, { mode: 0o755 });
  const options = supervisorOptions({ command: join(folder, 'claude'), path: join(folder, 'state') });
  const reasons = new Map<string, number>();
  const count = (what: string) => reasons.set(what, (reasons.get(what) ?? 0) + 1);
  const seeds = Array.from({ length: INTERLEAVINGS }, (_value, n) => n + 1);
  const worker = async () => {
    for (let seed = seeds.shift(); seed !== undefined; seed = seeds.shift()) {
      const { violations, accepted, refused, outcomes, supervisor } = await interleave(options, seed);
      const outcomeCounts = [...accepted].map((id) => [id, outcomes.get(id)?.length ?? 0]);
      expect({ seed, violations, outcomeCounts }).toEqual({
        seed,
        violations: [],
        outcomeCounts: [...accepted].map((id) => [id, 1]),
      });
      expect(supervisor.counts()).toMatchObject({ live: 0, queued: 0 });
      expect([...outcomes.keys()].filter((id) => !accepted.has(id))).toEqual([]);
      outcomes.forEach(([outcome]) => count(outcome?.reason ?? ''));
      refused.forEach(() => count('refused'));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  // What never came about would not have been tested.
  expect([...reasons.keys()]).toEqual(
    expect.arrayContaining(['completed', 'crashed', 'requested', 'drained', 'draining', 'at_capacity', 'refused']),
  );
}, 240_000);

it('the same over real connections: a dispatch on one, a drain on another (D5)', async () => {
  const folder = temporaryFolder();
  writeFileSync(join(folder, 'claude'), CLAUDE, { mode: 0o755 });
  await using sidecar = await startSidecar({ claude: join(folder, 'claude'), args: ['--breaker-failures=0'] });
  await using one = await RawClient.connect(sidecar);
  await using other = await RawClient.connect(sidecar);
  const random = randomOf(7);
  for (let round = 0; round < 40; round++) {
    const ids = [1, 2, 3].map((n) => `r${round}-${n}`);
    const dispatches = ids.map((executionId) => async () => {
      const whenBusy = random.pick(WHEN_BUSY);
      const reply = await one.ask('dispatch', { executionId, request: { prompt: 'good', whenBusy } });
      return reply.ok ? one.outcome(executionId) : reply.error.code;
    });
    const drainAt = random.below(4);
    const drain = () => other.request('drain', { deadlineMs: 60_000 });
    const all: Promise<unknown>[] = [];
    let drained: ReturnType<typeof drain> | undefined;
    for (let n = 0; n <= 3; n++) {
      if (n === drainAt) drained = drain();
      const next = dispatches[n];
      if (next !== undefined) all.push(next());
    }
    const { drainId } = (await drained) ?? { drainId: '' };
    expect(await one.refusedDispatch(`late-${round}`, 'good')).toBe('draining');
    for (const result of await Promise.all(all)) {
      if (typeof result === 'string') expect(result).toBe('draining');
      else expect(['completed', 'draining']).toContain((result as Outcome).reason);
    }
    await other.waitFor('drain_progress', (frame) => frame.drainId === drainId && frame.state === 'drained');
    await other.request('resume_admission');
  }
});
