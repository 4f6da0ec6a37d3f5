import {
  type DispatchRequest,
  type Machine,
  type Outcome,
  type Request,
  type Result,
  type Welcome,
  WireError,
} from '@outrigger/protocol';
import { type Logger } from 'pino';
import { admit, type Admission, type AdmissionReason } from '../core/admission.js';
import { type BreakerLimits } from '../core/breaker.js';
import { type Credentials } from '../credentials/credentials.js';
import { type AdmissionNotice } from './announcer.js';
import { Circuit, type CircuitOptions } from './circuit.js';
import { Draining } from './draining.js';
import { type Run } from './run.js';
import { type StateFolder } from '../state/folder.js';
import { Slots } from './slots.js';

/** Executions that wait for a slot. */
const QUEUED_MAX = 1_000;
/** What they are to do, all together: it is in memory and in the journal until they have ended. */
const QUEUED_BYTES_MAX = 256 * 1024 * 1024;

const BREAKER_OFF: BreakerLimits = { failures: 0, youngMs: 0, cooldownMs: 0, cooldownMaxMs: 0 };

const REFUSALS: Readonly<Record<AdmissionReason, string>> = {
  draining: 'the agent is draining and admits nothing; dispatch on another agent',
  circuit_open: 'executions have died young on the agent several times in a row; dispatch elsewhere or later',
  credential_missing: 'the agent has no credential; start its sidecar with --credential-file',
  disk_low: 'there is too little disk space under the state folder of the agent; free some, or dispatch elsewhere',
  at_capacity: 'every slot of the agent is in use; dispatch elsewhere or later, or ask for whenBusy: "skip"',
};

export interface AdmittingOptions {
  readonly maxExecutions: number;
  /** @default the circuit breaker is off */
  readonly breaker?: BreakerLimits;
  readonly credentials: Credentials;
  readonly state: CircuitOptions['store'] & Pick<StateFolder, 'freeBytes'>;
  /** With less room than this for logs and journal nothing is admitted. @default 0 */
  readonly freeBytesMin?: number;
  readonly logger: Logger;
}

/** A dispatch that asks to be admitted. */
export interface Applicant {
  readonly digest: string;
  /** The dispatch that had its id before. */
  readonly known: { readonly digest: string } | undefined;
  /** It was cancelled before it was dispatched. */
  readonly isCancelled: boolean;
  readonly whenBusy: DispatchRequest['whenBusy'];
}

/** What decides who may start now: slots, the drain, the circuit breaker, the credential, and cancels that came first. */
export class Admitting {
  readonly slots: Slots;
  readonly circuit: Circuit;
  readonly #draining: Draining;
  readonly #credentials: Credentials;
  readonly #options: AdmittingOptions;
  #isDiskLow = false;

  /** @param tell Tells hosts what changes of it. */
  constructor(options: AdmittingOptions, tell: (notice: AdmissionNotice) => void) {
    this.slots = new Slots(options.maxExecutions);
    this.#credentials = options.credentials;
    this.#options = options;
    this.#draining = new Draining({
      live: () => this.slots.live.map((run) => run.id),
      cancelLive: () => this.slots.live.forEach((run) => run.cancel('drained')),
      tell,
      onEnded: () => this.#handOut(),
    });
    this.circuit = new Circuit({
      limits: options.breaker ?? BREAKER_OFF,
      store: options.state,
      logger: options.logger,
      tell,
      onPassable: () => this.#handOut(),
    });
  }

  /** What keeps it from admitting, as far as there is anything; what `welcome` and `status` say. */
  get obstacles(): Pick<Welcome, 'drain' | 'circuit'> {
    const { progress: drain } = this.#draining;
    const { state: circuit } = this.circuit;
    return { ...(drain === undefined ? {} : { drain }), ...(circuit === undefined ? {} : { circuit }) };
  }

  /** How the disk stands. */
  get disk(): Pick<Machine, 'freeBytes' | 'freeBytesMin'> {
    const { state, freeBytesMin = 0 } = this.#options;
    return { freeBytes: state.freeBytes, freeBytesMin };
  }

  /** Why it would refuse a dispatch although a slot were free; null: it would not. */
  get problem(): Exclude<AdmissionReason, 'at_capacity'> | null {
    if (this.#draining.isOn) return 'draining';
    if (this.circuit.passage === 'open') return 'circuit_open';
    if (!this.#hasCredential) return 'credential_missing';
    return this.#lookAtDisk() ? 'disk_low' : null;
  }

  /** What becomes of a dispatch. */
  judge({ digest, known, isCancelled, whenBusy }: Applicant): Admission {
    return admit({
      known: known ?? null,
      digest,
      isCancelRemembered: isCancelled,
      isDraining: this.#draining.isOn,
      isCircuitOpen: this.circuit.passage === 'open',
      hasCredential: this.#hasCredential,
      isDiskLow: this.#lookAtDisk(),
      live: this.slots.live.length,
      queued: this.slots.queued.length,
      queuedMax: this.#queuedBytes() < QUEUED_BYTES_MAX ? QUEUED_MAX : 0,
      maxExecutions: this.slots.max,
      whenBusy: whenBusy ?? 'refuse',
    });
  }

  refusal(reason: AdmissionReason): WireError {
    return new WireError(reason, REFUSALS[reason], this.dataOf(reason));
  }

  dataOf(reason: AdmissionReason): { retryAt?: number } {
    const { retryAt } = this.circuit;
    return reason === 'circuit_open' && retryAt !== null ? { retryAt } : {};
  }

  /** An execution has ended. Who waits for that goes on with {@link wake}. */
  release(run: Run, outcome: Outcome): void {
    this.slots.remove(run);
    this.circuit.onOutcome(outcome);
  }

  /** An execution that was let in is not there after all. */
  withdraw(run: Run): void {
    this.slots.remove(run);
    this.circuit.withdraw(run.id);
    this.wake();
  }

  wake(): void {
    this.#draining.look();
    this.circuit.wake();
  }

  /** Admits nothing from now on; what runs goes on until the deadline. */
  drain(wish: Omit<Request<'drain'>, 'type' | 'id'>, { isFinal = false } = {}): Result<'drain'> {
    const { deadlineMs, atDeadline = 'leave', ttlMs = null } = wish;
    const joined = this.#draining.isOn;
    const progress = this.#draining.request({ deadlineMs, atDeadline, ttlMs, isFinal });
    this.slots.queued.forEach((run) => run.skip('draining'));
    return { ...progress, joined };
  }

  /** @throws WireError `draining` when the sidecar stops. */
  resume(): Result<'resume_admission'> {
    if (this.#draining.isFinal) throw new WireError('draining', 'the sidecar stops; it admits nothing again');
    const resumed = this.#draining.isOn;
    this.#draining.end();
    return { resumed };
  }

  /** Whether there is too little room; it is logged when that changes. */
  #lookAtDisk(): boolean {
    const { state, logger, freeBytesMin = 0 } = this.#options;
    const { freeBytes } = state;
    const isLow = freeBytes < freeBytesMin;
    if (isLow && !this.#isDiskLow)
      logger.warn({ freeBytes, freeBytesMin }, 'the disk is nearly full; nothing is admitted');
    if (!isLow && this.#isDiskLow) logger.info({ freeBytes }, 'there is room on the disk again');
    this.#isDiskLow = isLow;
    return isLow;
  }

  #queuedBytes(): number {
    return this.slots.queued.reduce((sum, run) => sum + run.requestBytes, 0);
  }

  get #hasCredential(): boolean {
    return this.#credentials.slot.current !== null;
  }

  /** Hands free slots to those who wait, as far as they may start. */
  #handOut(): void {
    if (!this.#draining.isOn) this.slots.handOut((run) => this.circuit.letIn(run.id));
  }
}
