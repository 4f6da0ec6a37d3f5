import { createHash } from 'node:crypto';
import { EventEmitter } from 'node:events';
import { type DispatchRequest, type ExecutionSummary, type Outcome, type Result, WireError } from '@outrigger/protocol';
import { checkArgs } from '../claude/argv.js';
import { checkEnvironment, type Credential } from '../claude/environment.js';
import { admit, type AdmissionReason } from '../core/admission.js';
import { canonicalJson } from '../core/canonical-json.js';
import { type RunInit } from './accepted.js';
import { CancelMemory } from './cancel-memory.js';
import { Retention } from './retention.js';
import { Run, type RunContext } from './run.js';
import { Slots } from './slots.js';

/** Executions that wait for a slot. */
const QUEUED_MAX = 1_000;

export interface SupervisorOptions extends Omit<RunContext, 'onState' | 'onOutcome'> {
  readonly agentId: string;
  readonly maxExecutions: number;
  readonly credential: Credential | null;
}

interface SupervisorEvents {
  state: [run: Run];
  outcome: [run: Run, outcome: Outcome];
}

const REFUSALS: Readonly<Record<AdmissionReason, string>> = {
  draining: 'the agent is draining and admits nothing; dispatch on another agent',
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
  #isDraining = false;

  constructor(options: SupervisorOptions) {
    super();
    this.setMaxListeners(0);
    this.#options = options;
    this.#slots = new Slots(options.maxExecutions);
    this.#context = {
      ...options,
      onState: (run) => this.#announce('state', run),
      onOutcome: (run, outcome) => this.#onOutcome(run, outcome),
    };
  }

  get agentId(): string {
    return this.#options.agentId;
  }

  get isDraining(): boolean {
    return this.#isDraining;
  }

  /** Whether any host is connected. */
  get hasHosts(): boolean {
    return this.listenerCount('outcome') > 0;
  }

  get hasCredential(): boolean {
    return this.#options.credential !== null;
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
    const digest = createHash('sha256').update(canonicalJson(request)).digest('hex');
    const known = this.#runs.get(id);
    const admission = admit({
      known: known ?? null,
      digest,
      isCancelRemembered: this.#cancelMemory.take(id),
      isDraining: this.#isDraining,
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
        throw new WireError(admission.code, REFUSALS[admission.code]);
      case 'cancelled':
        return this.#accept({ id, digest, request, isQueued: false }, (run) => run.cancelUnstarted());
      case 'skip':
        return this.#accept({ id, digest, request, isQueued: false }, (run) => run.skip(admission.reason));
      case 'queue':
      case 'start':
        return this.#accept({ id, digest, request, isQueued: admission.verdict === 'queue' }, (run) => run.begin());
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

  /** Admits nothing from now on. Resolves when nothing runs any more. */
  async drain(): Promise<void> {
    this.#isDraining = true;
    this.#slots.queued.forEach((run) => run.skip('draining'));
    while (this.#slots.live.length > 0) await new Promise((resolve) => this.once('outcome', resolve));
  }

  /** Cancels all that runs; each run has the grace it was dispatched with. */
  cancelAll(reason: 'drained'): void {
    this.#slots.live.forEach((run) => run.cancel(reason));
  }

  /** The same without any grace, that of kills under way included. */
  killAll(reason: 'drained'): void {
    this.#slots.live.forEach((run) => {
      run.cancel(reason);
      run.hurry();
    });
  }

  #accept(init: Omit<RunInit, 'credential'>, begin: (run: Run) => void): Result<'dispatch'> {
    const run = new Run({ ...init, credential: this.#options.credential }, this.#context);
    this.#runs.set(run.id, run);
    this.#slots.add(run);
    this.#announce('state', run);
    begin(run);
    return { ...run.summary(), known: false };
  }

  #onOutcome(run: Run, outcome: Outcome): void {
    this.#slots.remove(run);
    this.#retention.keep(run.id, Buffer.byteLength(JSON.stringify(run.summary())));
    this.#announce('outcome', run, outcome);
    if (!this.#isDraining) this.#slots.handOut();
  }

  /** A host that cannot be told costs neither the run nor the other hosts anything. */
  #announce<Name extends keyof SupervisorEvents>(name: Name, ...event: SupervisorEvents[Name]): void {
    for (const listener of this.rawListeners(name) as ((...event: SupervisorEvents[Name]) => void)[]) {
      try {
        listener(...event);
      } catch (error) {
        this.#options.logger.error({ err: error, executionId: event[0].id }, 'a host cannot be told');
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
