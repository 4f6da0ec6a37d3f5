import {
  type DispatchRequest,
  type ExecutionState,
  type ExecutionSummary,
  type Machine,
  type Outcome,
  type ReasonOf,
  type Request,
  type Result,
  type Welcome,
  WireError,
} from '@outrigger/protocol';
import { monotonicMs } from '../clock.js';
import { type JournalledExecution, type JournalRecord, latestStart } from '../core/journal-state.js';
import { type ExecutionJournal } from '../journal/execution-journal.js';
import { type RunInit } from './accepted.js';
import { Admitting, type AdmittingOptions } from './admitting.js';
import { Announcer } from './announcer.js';
import { killNoted } from './adopt-attempt.js';
import { checkDispatch, digestOf } from './dispatch-checks.js';
import { unreadableOutcome } from './give-up.js';
import { KnownRuns, type KnownRunsOptions } from './known-runs.js';
import { readInitName } from '../process/init.js';
import { Promises } from './promises.js';
import { EndedRun } from './ended-run.js';
import { type KnownRun } from './known-run.js';
import { Run, type RunContext } from './run.js';
import { Talking } from './talking.js';

export interface SupervisorOptions
  extends
    Omit<RunContext, 'notes' | 'onState' | 'onOutcome' | 'waitToBeLetIn'>,
    Omit<AdmittingOptions, 'state'>,
    KnownRunsOptions {
  readonly agentId: string;
}

/** The one truth about what runs on this agent: admits, remembers, counts. */
export class Supervisor extends Announcer {
  readonly agentId: string;
  readonly #context: RunContext;
  readonly #journal: ExecutionJournal;
  readonly #promises: Promises;
  readonly #runs: KnownRuns;
  readonly #admitting: Admitting;
  /** How hosts talk to runs. */
  readonly talking: Talking;

  constructor(options: SupervisorOptions) {
    super(options.logger);
    this.agentId = options.agentId;
    this.#journal = options.journal;
    this.#promises = new Promises(options.journal, options.logger);
    this.#runs = new KnownRuns(options);
    this.talking = new Talking(this.#runs, this.#promises);
    this.#admitting = new Admitting(options, (notice) => this.announce('admission', notice));
    this.#context = {
      ...options,
      notes: options.journal,
      waitToBeLetIn: (id, begin) => this.#admitting.circuit.waitToBeLetIn(id, begin),
      onState: (run) => this.announce('state', run),
      onOutcome: (run, outcome) => this.#onOutcome(run, outcome),
    };
  }

  /** What keeps it from admitting, as far as there is anything; what `welcome` and `status` say. */
  get obstacles(): Pick<Welcome, 'drain' | 'circuit'> {
    return this.#admitting.obstacles;
  }

  /** The machine it is on, as it stands now. */
  get machine(): Machine {
    return { at: Date.now(), ...this.#admitting.disk, init: readInitName() };
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

  /** The state of each execution that has not ended. */
  openStates(): ExecutionState[] {
    return this.#admitting.slots.openStates;
  }

  /**
   * Takes in what another sidecar has written down: what has ended can be asked for, what lives goes on, and what was not
   * started yet is. Resolves when it is known what lives.
   *
   * @param sweep Ends whatever is left that nobody knows of, before anything is started.
   */
  async recover(sweep: () => Promise<void>): Promise<void> {
    const executions = [...this.#journal.state.executions.values()];
    const restored = await Promise.all(executions.map((execution) => this.#restoreAny(execution)));
    const unfinished = restored.filter((run) => run !== null);
    await Promise.all(unfinished.map((run) => run.adopt()));
    if (executions.length > 0) {
      const counts = { known: executions.length, unfinished: unfinished.length, live: this.counts().live };
      this.#context.logger.info(counts, 'executions of the last sidecar are known again');
    }
    this.#admitting.circuit.onRecovered((id) => this.#runs.find(id)?.outcome === null);
    await sweep();
    unfinished.forEach((run) => run.begin());
    this.#admitting.wake();
  }

  /** Whether an execution may have processes that are looked after. */
  isLookedAfter(id: string): boolean {
    const run = this.#runs.find(id);
    return run === undefined ? this.isWrittenDown(id) : run.outcome === null && run.attempts.length > 0;
  }

  /** The files with settings that runs of another sidecar may still read. */
  settingsInUse(): string[] {
    const open = [...this.#journal.state.executions.values()].filter(({ outcome }) => outcome === null);
    return open.flatMap((execution) => latestStart(execution)?.settings ?? []);
  }

  /** Whether there is anything of an execution that is not to be removed. */
  isWrittenDown(id: string): boolean {
    return this.#journal.state.executions.has(id);
  }

  /** Returns what has not ended. One that makes no sense ends here, and costs the others nothing. */
  async #restoreAny(execution: JournalledExecution): Promise<Run | null> {
    const { logger, markers } = this.#context;
    const { id } = execution.accepted;
    try {
      return this.#restore(execution);
    } catch (error) {
      logger.error({ err: error, executionId: id }, 'an execution cannot be restored, and is ended');
    }
    try {
      const canLive = this.#journal.isOfThisBoot;
      const survivors = await killNoted(execution.attempts, { canLive, markers });
      const outcome = unreadableOutcome(execution, survivors);
      this.#journal.note({ is: 'ended', id, outcome, ends: null });
      this.#context.meter?.ended(outcome);
      const ended = this.#journal.state.executions.get(id);
      return ended === undefined ? null : this.#restore(ended);
    } catch (error) {
      logger.error({ err: error, executionId: id }, 'nothing can be made of what is written down of an execution');
      return null;
    }
  }

  /** Returns what has not ended. @throws Error for what makes no sense */
  #restore(execution: JournalledExecution): Run | null {
    const { outcome } = execution;
    if (outcome !== null) {
      this.#runs.keepRestored(EndedRun.restore(execution, outcome, this.#context.state), execution);
      return null;
    }
    const run = Run.restore(execution, this.#context, { canLive: this.#journal.isOfThisBoot });
    this.#runs.add(run);
    this.#admitting.slots.add(run);
    return run;
  }

  /**
   * Admits a dispatch, in one synchronous step, and resolves when that is on the disk. Only then anything is started.
   *
   * @throws WireError when it is refused.
   */
  async dispatch(id: string, request: DispatchRequest): Promise<Result<'dispatch'>> {
    checkDispatch(request, this.#context.access.mode);
    const digest = digestOf(request);
    const known = this.#runs.find(id);
    const forgotten = this.#runs.findForgotten(id);
    const isCancelled = this.#runs.wasCancelled(id);
    const { whenBusy } = request;
    const admission = this.#admitting.judge({ digest, known: known ?? forgotten, isCancelled, whenBusy });

    const init = { id, digest, request, isQueued: admission.verdict === 'queue' };
    switch (admission.verdict) {
      case 'known':
        if (known === undefined) throw new WireError('execution_forgotten', `execution ${id} has ended long ago`);
        // Who comes while the first is not answered yet is promised the same.
        if (known.outcome === null && !known.hasBegun) await this.#promises.commit();
        return { ...this.run(id).summary(), known: true };
      case 'conflict':
        throw new WireError('execution_conflict', `execution ${id} was dispatched before with another request`);
      case 'refuse':
        throw this.#admitting.refusal(admission.code);
      case 'cancelled': {
        const cancelled = { is: 'cancelled', id, at: monotonicMs(), reason: 'requested' } as const;
        return this.#accept(init, { cancelled }, (run) => run.cancelUnstarted());
      }
      case 'skip': {
        const { reason } = admission;
        const { retryAt } = this.#admitting.dataOf(reason);
        return this.#accept(init, { refused: reason }, (run) => run.skip(reason, retryAt));
      }
      case 'start':
        this.#admitting.circuit.letIn(id);
        return this.#accept(init);
      case 'queue':
        return this.#accept(init);
    }
  }

  /**
   * Cancels a live execution; one not known yet will be cancelled when it is dispatched. Resolves when that is on the disk.
   *
   * @throws WireError `disk_low` when it cannot be remembered; what is live is cancelled all the same.
   */
  async cancel(id: string): Promise<Result<'cancel'>> {
    const run = this.#runs.find(id);
    if (run !== undefined) {
      run.cancel('requested');
      const { state } = run.summary();
      await this.settle();
      return { known: true, state };
    }
    if (this.#runs.findForgotten(id) !== undefined) return { known: true, state: 'ended' };
    this.#promises.promise({ is: 'cancel_remembered', id, at: monotonicMs() });
    await this.#promises.commit();
    return { known: false };
  }

  /** A host has persisted the outcome: it is not sent again. */
  acknowledge(id: string): void {
    this.#runs.acknowledge(id);
  }

  /** @throws WireError `unknown_execution` */
  run(id: string): KnownRun {
    return this.#runs.get(id);
  }

  /** Resolves when what was told so far is on the disk, or cannot be put there for now. */
  settle(): Promise<void> {
    return this.#journal.settle();
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
    await slots.whenIdle();
    // The last outcomes are told when they are on the disk.
    await this.settle();
  }

  /** @param finish Ends it at once, with nothing started. */
  async #accept(
    init: RunInit,
    { refused, cancelled }: { refused?: ReasonOf<'skipped'>; cancelled?: JournalRecord } = {},
    finish?: (run: Run) => void,
  ): Promise<Result<'dispatch'>> {
    const run = Run.accept(init, this.#context);
    try {
      const accepted = run.noteOfAcceptance(init.request, refused);
      this.#promises.promise(accepted, ...(cancelled === undefined ? [] : [cancelled]));
    } catch (error) {
      this.#admitting.withdraw(run);
      throw error;
    }
    this.#runs.add(run);
    this.#admitting.slots.add(run);
    finish?.(run);
    try {
      await this.#promises.commit();
    } catch (error) {
      if (run.outcome === null) this.#withdraw(run);
      throw error;
    }
    if (run.outcome === null) {
      this.announce('state', run);
      run.begin();
      // A slot may have become free while that could not be told.
      if (run.isQueued) this.#admitting.wake();
    }
    return { ...run.summary(), known: false };
  }

  /** Nobody was told that it was accepted, so it was not. */
  #withdraw(run: Run): void {
    this.#runs.remove(run);
    this.#journal.note({ is: 'withdrawn', id: run.id });
    // Whoever has cancelled it was told so.
    if (run.isCancelled) this.#journal.note({ is: 'cancel_remembered', id: run.id, at: monotonicMs() });
    this.#admitting.withdraw(run);
  }

  #onOutcome(run: Run, outcome: Outcome): void {
    this.#context.meter?.ended(outcome);
    this.#admitting.release(run, outcome);
    this.#runs.keep(run, outcome);
    this.#admitting.wake();
    void this.#journal.settle().then(() => {
      if (!run.isEndTold) this.announce('state', run);
      this.announce('outcome', run, outcome);
    });
  }
}
