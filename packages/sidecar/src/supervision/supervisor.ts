import {
  type DispatchRequest,
  type ExecutionSummary,
  type Outcome,
  type Request,
  type Result,
  type Welcome,
  WireError,
} from '@outrigger/protocol';
import { type RunInit } from './accepted.js';
import { Admitting, type AdmittingOptions } from './admitting.js';
import { Announcer } from './announcer.js';
import { checkDispatch, digestOf } from './dispatch-checks.js';
import { KnownRuns } from './known-runs.js';
import { Run, type RunContext } from './run.js';

export interface SupervisorOptions
  extends Omit<RunContext, 'onState' | 'onOutcome' | 'waitToBeLetIn'>, Omit<AdmittingOptions, 'state'> {
  readonly agentId: string;
}

/** The one truth about what runs on this agent: admits, remembers, counts. */
export class Supervisor extends Announcer {
  readonly agentId: string;
  readonly #context: RunContext;
  readonly #runs: KnownRuns;
  readonly #admitting: Admitting;

  constructor(options: SupervisorOptions) {
    super(options.logger);
    this.agentId = options.agentId;
    this.#runs = new KnownRuns(options);
    this.#admitting = new Admitting(options, (notice) => this.announce('admission', notice));
    this.#context = {
      ...options,
      waitToBeLetIn: (id, begin) => this.#admitting.circuit.waitToBeLetIn(id, begin),
      onState: (run) => this.announce('state', run),
      onOutcome: (run, outcome) => this.#onOutcome(run, outcome),
    };
  }

  /** What keeps it from admitting, as far as there is anything; what `welcome` and `status` say. */
  get obstacles(): Pick<Welcome, 'drain' | 'circuit'> {
    return this.#admitting.obstacles;
  }

  /** Why it would refuse a dispatch although a slot were free; null: it would not. */
  get problem(): Admitting['problem'] {
    return this.#admitting.problem;
  }

  counts(): Result<'status'>['counts'] {
    const { slots } = this.#admitting;
    return {
      live: slots.live.length,
      queued: slots.queued.length,
      maxExecutions: slots.max,
      unacknowledged: slots.openCount + this.#runs.unacknowledgedCount,
    };
  }

  /** Admits a dispatch, in one synchronous step. @throws WireError when it is refused. */
  dispatch(id: string, request: DispatchRequest): Result<'dispatch'> {
    checkDispatch(request, this.#context.access.mode);
    const digest = digestOf(request);
    const known = this.#runs.find(id);
    const admission = this.#admitting.judge({ id, digest, known, whenBusy: request.whenBusy });

    switch (admission.verdict) {
      case 'known':
        return { ...this.run(id).summary(), known: true };
      case 'conflict':
        throw new WireError('execution_conflict', `execution ${id} was dispatched before with another request`);
      case 'refuse':
        throw this.#admitting.refusal(admission.code);
      case 'cancelled':
        return this.#accept({ id, digest, request, isQueued: false }, (run) => run.cancelUnstarted());
      case 'skip':
        return this.#accept({ id, digest, request, isQueued: false }, (run) =>
          run.skip(admission.reason, this.#admitting.dataOf(admission.reason).retryAt),
        );
      case 'queue':
        return this.#accept({ id, digest, request, isQueued: true }, (run) => run.begin());
      case 'start':
        this.#admitting.circuit.letIn(id);
        return this.#accept({ id, digest, request, isQueued: false }, (run) => run.begin());
    }
  }

  /** Cancels a live execution; one not known yet will be cancelled when it is dispatched. */
  cancel(id: string): Result<'cancel'> {
    const run = this.#runs.find(id);
    if (run === undefined) {
      this.#admitting.cancelMemory.remember(id);
      return { known: false };
    }
    run.cancel('requested');
    return { known: true, state: run.summary().state };
  }

  /** A host has persisted the outcome: it is not sent again. */
  acknowledge(id: string): void {
    this.#runs.acknowledge(id);
  }

  /** @throws WireError `unknown_execution` */
  run(id: string): Run {
    return this.#runs.get(id);
  }

  isKnown(id: string): boolean {
    return this.#runs.find(id) !== undefined;
  }

  /** Every execution whose outcome no host has acknowledged. */
  unacknowledged(): ExecutionSummary[] {
    return this.#runs.unacknowledged();
  }

  /** Admits nothing from now on; what runs goes on until the deadline. */
  drain(wish: Omit<Request<'drain'>, 'type' | 'id'>): Result<'drain'> {
    return this.#admitting.drain(wish);
  }

  /** @throws WireError `draining` when the sidecar stops. */
  resumeAdmission(): Result<'resume_admission'> {
    return this.#admitting.resume();
  }

  /**
   * Admits nothing again, cancels what runs after `timeoutMs`, and resolves when nothing does. Called again with a shorter
   * time it ends sooner. With 0 everything ends at once: no kill has a grace, not even one under way.
   */
  async stop(timeoutMs: number): Promise<void> {
    const { slots } = this.#admitting;
    this.#admitting.drain({ deadlineMs: timeoutMs, atDeadline: 'cancel' }, { isFinal: true });
    const hurried = timeoutMs === 0 ? slots.live : [];
    hurried.forEach((run) => {
      run.cancel('drained');
      run.hurry();
    });
    while (slots.live.length > 0) await new Promise((resolve) => this.once('outcome', resolve));
  }

  #accept(init: RunInit, begin: (run: Run) => void): Result<'dispatch'> {
    const run = new Run(init, this.#context);
    this.#runs.add(run);
    this.#admitting.slots.add(run);
    this.announce('state', run);
    begin(run);
    return { ...run.summary(), known: false };
  }

  #onOutcome(run: Run, outcome: Outcome): void {
    this.#admitting.release(run, outcome);
    this.#runs.keep(run);
    this.announce('outcome', run, outcome);
    this.#admitting.wake();
  }
}
