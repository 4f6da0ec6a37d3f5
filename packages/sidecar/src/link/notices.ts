import { CURSOR_START, type ExecutionSummary, type Outcome } from '@outrigger/protocol';
import { type CredentialNotice, type Credentials } from '../credentials/credentials.js';
import { type AdmissionNotice } from '../supervision/announcer.js';
import { type KnownRun } from '../supervision/known-run.js';
import { type Supervisor } from '../supervision/supervisor.js';
import { type Channel } from './channel.js';

/** Tells one connection of every execution's states and outcomes, whoever dispatched it. */
export class Notices {
  readonly #supervisor: Supervisor;
  readonly #credentials: Credentials;
  readonly #channel: Channel;
  /** Outcomes still to be sent again; they are paced, because there can be many. */
  readonly #resend: string[] = [];
  /** Executions of which there is something to tell once the snapshot is out; null: it is. */
  #held: Set<KnownRun> | null = null;
  /** News of admission since `welcome`, the latest of each type. */
  readonly #admission = new Map<AdmissionNotice['type'], AdmissionNotice>();
  readonly #onAdmission: (notice: AdmissionNotice) => void;
  readonly #onNotice: (notice: CredentialNotice) => void;
  readonly #onState: (run: KnownRun) => void;
  readonly #onOutcome: (run: KnownRun, outcome: Outcome) => void;

  /** @param guard Makes a notice, and keeps whoever caused it from hearing that it failed. */
  constructor(
    { supervisor, credentials }: { readonly supervisor: Supervisor; readonly credentials: Credentials },
    channel: Channel,
    guard: (step: () => void) => void,
  ) {
    this.#supervisor = supervisor;
    this.#credentials = credentials;
    this.#channel = channel;
    this.#onAdmission = (notice) => guard(() => this.#sendAdmission(notice));
    this.#onNotice = (notice) => guard(() => this.#sendNotice(notice));
    this.#onState = (run) => guard(() => this.#tell(run, () => this.#sendState(run)));
    this.#onOutcome = (run, outcome) => guard(() => this.#tell(run, () => this.#sendOutcome(run, outcome)));
  }

  /** Notes what happens from now on to be told after a snapshot, and which of its executions have ended. */
  hold(snapshot: readonly ExecutionSummary[]): void {
    this.#held = new Set();
    this.#resend.push(...snapshot.flatMap(({ executionId, outcome }) => (outcome === undefined ? [] : executionId)));
    this.#supervisor.on('state', this.#onState);
    this.#supervisor.on('outcome', this.#onOutcome);
    this.#supervisor.on('admission', this.#onAdmission);
    this.#credentials.on('notice', this.#onNotice);
  }

  /** Sends what was noted, the outcomes as far as there is room, and from now on what happens as it happens. */
  resume(): void {
    const held = this.#held;
    this.#held = null;
    if (held !== null) this.#credentials.holds.pending().forEach((notice) => this.#channel.send(notice));
    this.#admission.forEach((notice) => this.#channel.send(notice));
    this.#admission.clear();
    for (const run of held ?? []) {
      if (run.outcome === null) this.#sendState(run);
      else this.#resend.push(run.id);
    }
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
    this.#supervisor.off('admission', this.#onAdmission);
    this.#credentials.off('notice', this.#onNotice);
    this.#resend.length = 0;
  }

  /** Before the snapshot is out nobody knows what a notice is about; what still matters then is sent with it. */
  #sendNotice(notice: CredentialNotice): void {
    if (this.#held === null) this.#channel.send(notice);
  }

  #sendAdmission(notice: AdmissionNotice): void {
    if (this.#held === null) this.#channel.send(notice);
    else {
      // The order is that of the latest.
      this.#admission.delete(notice.type);
      this.#admission.set(notice.type, notice);
    }
  }

  #tell(run: KnownRun, send: () => void): void {
    if (this.#held === null) send();
    else this.#held.add(run);
  }

  #sendState(run: KnownRun): void {
    const { executionId, state, since, attempt, hold, verdict, end } = run.summary();
    this.#channel.send({
      type: 'state',
      executionId,
      state,
      at: verdict?.at ?? since,
      attempt,
      ...(hold === undefined ? {} : { hold }),
      ...(verdict === undefined ? {} : { verdict }),
      ...(end === undefined ? {} : { end }),
    });
  }

  #sendOutcome(run: KnownRun, outcome: Outcome): void {
    this.#channel.send({ type: 'outcome', outcome, end: run.end ?? CURSOR_START });
  }
}
