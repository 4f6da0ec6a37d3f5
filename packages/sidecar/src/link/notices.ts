import { CURSOR_START, type Outcome } from '@outrigger/protocol';
import { type Run } from '../supervision/run.js';
import { type Supervisor } from '../supervision/supervisor.js';
import { type Channel } from './channel.js';

/** Tells one connection of every execution's states and outcomes, whoever dispatched it. */
export class Notices {
  readonly #supervisor: Supervisor;
  readonly #channel: Channel;
  /** Outcomes still to be sent again; they are paced, because there can be many. */
  readonly #resend: string[] = [];
  readonly #onState: (run: Run) => void;
  readonly #onOutcome: (run: Run, outcome: Outcome) => void;

  /** @param guard Makes a notice, and keeps whoever caused it from hearing that it failed. */
  constructor(supervisor: Supervisor, channel: Channel, guard: (step: () => void) => void) {
    this.#supervisor = supervisor;
    this.#channel = channel;
    this.#onState = (run) => guard(() => this.#sendState(run));
    this.#onOutcome = (run, outcome) => guard(() => this.#sendOutcome(run, outcome));
  }

  /** From now on, and the outcomes there are already. @param endedIds Executions whose outcome is sent again. */
  start(endedIds: readonly string[]): void {
    this.#supervisor.on('state', this.#onState);
    this.#supervisor.on('outcome', this.#onOutcome);
    this.#resend.push(...endedIds);
    this.resume();
  }

  /** Sends again what there is room for. */
  resume(): void {
    while (this.#resend.length > 0 && this.#channel.hasRoom) {
      const id = this.#resend.shift();
      if (id === undefined || !this.#supervisor.isKnown(id)) continue;
      const run = this.#supervisor.run(id);
      if (run.outcome !== null) this.#sendOutcome(run, run.outcome);
    }
  }

  stop(): void {
    this.#supervisor.off('state', this.#onState);
    this.#supervisor.off('outcome', this.#onOutcome);
    this.#resend.length = 0;
  }

  #sendState(run: Run): void {
    const { executionId, state, attempt, startedAt, acceptedAt, verdict, end } = run.summary();
    this.#channel.send({
      type: 'state',
      executionId,
      state,
      at: verdict?.at ?? startedAt ?? acceptedAt,
      attempt,
      ...(verdict === undefined ? {} : { verdict }),
      ...(end === undefined ? {} : { end }),
    });
  }

  #sendOutcome(run: Run, outcome: Outcome): void {
    this.#channel.send({ type: 'outcome', outcome, end: run.end ?? CURSOR_START });
  }
}
