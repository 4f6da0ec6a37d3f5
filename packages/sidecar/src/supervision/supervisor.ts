import { createHash } from 'node:crypto';
import { EventEmitter } from 'node:events';
import {
  type DispatchRequest,
  type ExecutionSummary,
  type Outcome,
  type Request,
  type Result,
  type SidecarFrame,
  type Welcome,
  WireError,
} from '@outrigger/protocol';
import { checkArgs } from '../claude/argv.js';
import { checkEnvironment } from '../claude/environment.js';
import { checkSettings } from '../claude/settings.js';
import { admit, type AdmissionReason } from '../core/admission.js';
import { type BreakerLimits } from '../core/breaker.js';
import { canonicalJson } from '../core/canonical-json.js';
import { type RunInit } from './accepted.js';
import { CancelMemory } from './cancel-memory.js';
import { Circuit } from './circuit.js';
import { Draining } from './draining.js';
import { Retention } from './retention.js';
import { Run, type RunContext } from './run.js';
import { Slots } from './slots.js';

/** Executions that wait for a slot. */
const QUEUED_MAX = 1_000;

export interface SupervisorOptions extends Omit<RunContext, 'onState' | 'onOutcome' | 'waitToBeLetIn'> {
  readonly agentId: string;
  readonly maxExecutions: number;
  /** @default the circuit breaker is off */
  readonly breaker?: BreakerLimits;
}

const BREAKER_OFF: BreakerLimits = { failures: 0, youngMs: 0, cooldownMs: 0, cooldownMaxMs: 0 };

/** What hosts are told of admission. */
export type AdmissionNotice = SidecarFrame<'drain_progress' | 'circuit_opened' | 'circuit_closed'>;

interface SupervisorEvents {
  state: [run: Run];
  outcome: [run: Run, outcome: Outcome];
  admission: [notice: AdmissionNotice];
}

const REFUSALS: Readonly<Record<AdmissionReason, string>> = {
  draining: 'the agent is draining and admits nothing; dispatch on another agent',
  circuit_open: 'executions have died young on the agent several times in a row; dispatch elsewhere or later',
  credential_missing: 'the agent has no credential; start its sidecar with --credential-file',
  at_capacity: 'every slot of the agent is in use; dispatch elsewhere or later, or ask for whenBusy: "skip"',
};

/** The one truth about what runs on this agent: admits, remembers, counts. */
export class Supervisor extends EventEmitter<SupervisorEvents> {
  readonly #options: SupervisorOptions;
  readonly #context: RunContext;
  /** Every execution that is known, in the order of acceptance. */
  readonly #runs = new Map<string, Run>();
  readonly #slots: Slots;
  readonly #retention = new Retention({ onForgotten: (id, wasAcknowledged) => this.#forget(id, wasAcknowledged) });
  readonly #cancelMemory = new CancelMemory();
  readonly #draining = new Draining({
    live: () => this.#slots.live.map((run) => run.id),
    cancelLive: () => this.#slots.live.forEach((run) => run.cancel('drained')),
    tell: (notice) => this.#announce('admission', notice),
    onEnded: () => this.#handOut(),
  });
  readonly #circuit: Circuit;

  constructor(options: SupervisorOptions) {
    super();
    this.setMaxListeners(0);
    this.#options = options;
    this.#slots = new Slots(options.maxExecutions);
    this.#circuit = new Circuit({
      limits: options.breaker ?? BREAKER_OFF,
      store: options.state,
      logger: options.logger,
      tell: (notice) => this.#announce('admission', notice),
      onPassable: () => this.#handOut(),
    });
    this.#context = {
      ...options,
      waitToBeLetIn: (id, begin) => this.#circuit.waitToBeLetIn(id, begin),
      onState: (run) => this.#announce('state', run),
      onOutcome: (run, outcome) => this.#onOutcome(run, outcome),
    };
  }

  get agentId(): string {
    return this.#options.agentId;
  }

  /** What keeps it from admitting, as far as there is anything; what `welcome` and `status` say. */
  get obstacles(): Pick<Welcome, 'drain' | 'circuit'> {
    const { progress: drain } = this.#draining;
    const { state: circuit } = this.#circuit;
    return { ...(drain === undefined ? {} : { drain }), ...(circuit === undefined ? {} : { circuit }) };
  }

  /** Why it would refuse a dispatch although a slot were free; null: it would not. */
  get problem(): 'draining' | 'circuit_open' | 'credential_missing' | null {
    if (this.#draining.isOn) return 'draining';
    if (this.#circuit.passage === 'open') return 'circuit_open';
    return this.hasCredential ? null : 'credential_missing';
  }

  /** Whether any host is connected. */
  get hasHosts(): boolean {
    return this.listenerCount('outcome') > 0;
  }

  get hasCredential(): boolean {
    return this.#options.credentials.slot.current !== null;
  }

  counts(): Result<'status'>['counts'] {
    return {
      live: this.#slots.live.length,
      queued: this.#slots.queued.length,
      maxExecutions: this.#slots.max,
      unacknowledged: this.#slots.openCount + this.#retention.unacknowledgedCount,
    };
  }

  /** Admits a dispatch, in one synchronous step. @throws WireError when it is refused. */
  dispatch(id: string, request: DispatchRequest): Result<'dispatch'> {
    checkArgs(request.args ?? []);
    checkEnvironment(request.env ?? {});
    checkSettings(request.settings ?? {});
    this.#checkPolicy(request);
    const digest = createHash('sha256').update(canonicalJson(request)).digest('hex');
    const known = this.#runs.get(id);
    const admission = admit({
      known: known ?? null,
      digest,
      isCancelRemembered: this.#cancelMemory.take(id),
      isDraining: this.#draining.isOn,
      isCircuitOpen: this.#circuit.passage === 'open',
      hasCredential: this.hasCredential,
      live: this.#slots.live.length,
      queued: this.#slots.queued.length,
      queuedMax: QUEUED_MAX,
      maxExecutions: this.#slots.max,
      whenBusy: request.whenBusy ?? 'refuse',
    });

    switch (admission.verdict) {
      case 'known':
        return { ...this.run(id).summary(), known: true };
      case 'conflict':
        throw new WireError('execution_conflict', `execution ${id} was dispatched before with another request`);
      case 'refuse':
        throw new WireError(admission.code, REFUSALS[admission.code], this.#dataOf(admission.code));
      case 'cancelled':
        return this.#accept({ id, digest, request, isQueued: false }, (run) => run.cancelUnstarted());
      case 'skip':
        return this.#accept({ id, digest, request, isQueued: false }, (run) =>
          run.skip(admission.reason, this.#dataOf(admission.reason).retryAt),
        );
      case 'queue':
        return this.#accept({ id, digest, request, isQueued: true }, (run) => run.begin());
      case 'start':
        this.#circuit.letIn(id);
        return this.#accept({ id, digest, request, isQueued: false }, (run) => run.begin());
    }
  }

  /** Cancels a live execution; one not known yet will be cancelled when it is dispatched. */
  cancel(id: string): Result<'cancel'> {
    const run = this.#runs.get(id);
    if (run === undefined) {
      this.#cancelMemory.remember(id);
      return { known: false };
    }
    run.cancel('requested');
    return { known: true, state: run.summary().state };
  }

  /** A host has persisted the outcome: it is not sent again. */
  acknowledge(id: string): void {
    const run = this.run(id);
    if (run.outcome === null) throw new WireError('invalid', `ack: execution ${id} has no outcome yet`);
    this.#retention.acknowledge(id);
  }

  /** @throws WireError `unknown_execution` */
  run(id: string): Run {
    const run = this.#runs.get(id);
    if (run === undefined) throw new WireError('unknown_execution', `execution ${id} is not known to this agent`);
    return run;
  }

  isKnown(id: string): boolean {
    return this.#runs.has(id);
  }

  /** Every execution whose outcome no host has acknowledged. */
  unacknowledged(): ExecutionSummary[] {
    return [...this.#runs.values()]
      .filter((run) => !this.#retention.isAcknowledged(run.id))
      .map((run) => run.summary());
  }

  /** Admits nothing from now on; what runs goes on until the deadline. */
  drain(wish: Omit<Request<'drain'>, 'type' | 'id'>, { isFinal = false } = {}): Result<'drain'> {
    const { deadlineMs, atDeadline = 'leave', ttlMs = null } = wish;
    const joined = this.#draining.isOn;
    const progress = this.#draining.request({ deadlineMs, atDeadline, ttlMs, isFinal });
    this.#slots.queued.forEach((run) => run.skip('draining'));
    return { ...progress, joined };
  }

  /** @throws WireError `draining` when the sidecar stops. */
  resumeAdmission(): Result<'resume_admission'> {
    if (this.#draining.isFinal) throw new WireError('draining', 'the sidecar stops; it admits nothing again');
    const resumed = this.#draining.isOn;
    this.#draining.end();
    return { resumed };
  }

  /**
   * Admits nothing again, cancels what runs after `timeoutMs`, and resolves when nothing does. Called again with a shorter
   * time it ends sooner. With 0 everything ends at once: no kill has a grace, not even one under way.
   */
  async stop(timeoutMs: number): Promise<void> {
    this.drain({ deadlineMs: timeoutMs, atDeadline: 'cancel' }, { isFinal: true });
    const hurried = timeoutMs === 0 ? this.#slots.live : [];
    hurried.forEach((run) => {
      run.cancel('drained');
      run.hurry();
    });
    while (this.#slots.live.length > 0) await new Promise((resolve) => this.once('outcome', resolve));
  }

  /** Without the gateway there is nothing that could hold a request. */
  #checkPolicy({ onCredentialFailure }: DispatchRequest): void {
    if (onCredentialFailure !== 'hold' || this.#options.access.mode === 'gateway') return;
    const path = 'request.onCredentialFailure';
    const message = '"hold" needs a sidecar with --credential-mode gateway';
    throw new WireError('invalid', `dispatch: ${path}: ${message}`, { issues: [{ path, message }] });
  }

  #accept(init: RunInit, begin: (run: Run) => void): Result<'dispatch'> {
    const run = new Run(init, this.#context);
    this.#runs.set(run.id, run);
    this.#slots.add(run);
    this.#announce('state', run);
    begin(run);
    return { ...run.summary(), known: false };
  }

  #onOutcome(run: Run, outcome: Outcome): void {
    this.#slots.remove(run);
    this.#circuit.onOutcome(outcome);
    this.#retention.keep(run.id, Buffer.byteLength(JSON.stringify(run.summary())));
    this.#announce('outcome', run, outcome);
    this.#draining.look();
    this.#circuit.wake();
  }

  /** Hands free slots to those who wait, as far as they may start. */
  #handOut(): void {
    if (!this.#draining.isOn) this.#slots.handOut((run) => this.#circuit.letIn(run.id));
  }

  #dataOf(reason: AdmissionReason): { retryAt?: number } {
    const { retryAt } = this.#circuit;
    return reason === 'circuit_open' && retryAt !== null ? { retryAt } : {};
  }

  /** A host that cannot be told costs neither the run nor the other hosts anything. */
  #announce<Name extends keyof SupervisorEvents>(name: Name, ...event: SupervisorEvents[Name]): void {
    for (const listener of this.rawListeners(name) as ((...event: SupervisorEvents[Name]) => void)[]) {
      try {
        listener(...event);
      } catch (error) {
        const about = event[0] instanceof Run ? { executionId: event[0].id } : { type: event[0].type };
        this.#options.logger.error({ err: error, ...about }, 'a host cannot be told');
      }
    }
  }

  #forget(executionId: string, wasAcknowledged: boolean): void {
    const { logger, state } = this.#options;
    this.#runs.delete(executionId);
    if (!wasAcknowledged)
      logger.error(
        { executionId },
        'outcome dropped: no host acknowledged it, and there are too many or too large ones',
      );
    state
      .removeExecution(executionId)
      .catch((error: unknown) => logger.warn({ err: error, executionId }, 'cannot remove logs'));
  }
}
