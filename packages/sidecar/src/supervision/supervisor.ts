import { createHash } from 'node:crypto';
import { EventEmitter } from 'node:events';
import {
  type DispatchRequest,
  type ExecutionSummary,
  LIMITS,
  type Outcome,
  type Result,
  WireError,
} from '@outrigger/protocol';
import { type Logger } from 'pino';
import { checkArgs } from '../claude/argv.js';
import { checkEnvironment, type Credential } from '../claude/environment.js';
import { monotonicMs } from '../clock.js';
import { admit, type AdmissionReason } from '../core/admission.js';
import { canonicalJson } from '../core/canonical-json.js';
import { type RunUser } from '../options/user.js';
import { type Marker } from '../process/tree/marker.js';
import { type CurrentRedactor } from '../redaction.js';
import { type StateFolder } from '../state/folder.js';
import { Run, type RunContext, type RunInit } from './run.js';

/** Executions that are remembered once their outcome was acknowledged. */
const ACKNOWLEDGED_MAX = 1_000;
/** Outcomes nobody acknowledged; beyond it the oldest is dropped, with an error in the log. */
const UNACKNOWLEDGED_MAX = 10_000;
const REMEMBERED_CANCELS_MAX = 10_000;
/** Executions that wait for a slot. */
const QUEUED_MAX = 1_000;

export interface SupervisorOptions {
  readonly agentId: string;
  readonly maxExecutions: number;
  readonly command: string;
  readonly upstream: string | null;
  readonly passedVariables: readonly string[];
  readonly credential: Credential | null;
  readonly state: StateFolder;
  readonly markers: readonly Marker[];
  readonly runUser: RunUser | null;
  readonly redactor: CurrentRedactor;
  readonly logger: Logger;
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
  /** In the order of acceptance. */
  readonly #runs = new Map<string, Run>();
  readonly #unacknowledged = new Set<string>();
  readonly #acknowledged = new Set<string>();
  readonly #rememberedCancels = new Map<string, number>();
  #isDraining = false;

  constructor(options: SupervisorOptions) {
    super();
    this.setMaxListeners(0);
    this.#options = options;
    this.#context = {
      ...options,
      onState: (run) => this.emit('state', run),
      onOutcome: (run, outcome) => {
        this.emit('outcome', run, outcome);
        this.#startQueued();
        this.#prune();
      },
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

  /** Counted, never kept: a counter beside the executions would one day disagree with them. */
  counts(): Result<'status'>['counts'] {
    return {
      live: this.#live().length,
      queued: this.#queued().length,
      maxExecutions: this.#options.maxExecutions,
      unacknowledged: this.#unacknowledged.size,
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
      isCancelRemembered: this.#takeCancel(id),
      isDraining: this.#isDraining,
      hasCredential: this.hasCredential,
      live: this.#live().length,
      queued: this.#queued().length,
      queuedMax: QUEUED_MAX,
      maxExecutions: this.#options.maxExecutions,
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
      this.#rememberCancel(id);
      return { known: false };
    }
    run.cancel('requested');
    return { known: true, state: run.summary().state };
  }

  /** A host has persisted the outcome: it is not sent again. */
  acknowledge(id: string): void {
    const run = this.run(id);
    if (run.outcome === null) throw new WireError('invalid', `ack: execution ${id} has no outcome yet`);
    if (!this.#unacknowledged.delete(id)) return;
    this.#acknowledged.add(id);
    this.#prune();
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
    return [...this.#unacknowledged].map((id) => this.run(id).summary());
  }

  /** Admits nothing from now on. Resolves when nothing runs any more. */
  async drain(): Promise<void> {
    this.#isDraining = true;
    this.#queued().forEach((run) => run.skip('draining'));
    while (this.#live().length > 0) await new Promise((resolve) => this.once('outcome', resolve));
  }

  cancelAll(reason: 'drained'): void {
    this.#live().forEach((run) => run.cancel(reason));
  }

  #accept(init: Omit<RunInit, 'credential'>, begin: (run: Run) => void): Result<'dispatch'> {
    const run = new Run({ ...init, credential: this.#options.credential }, this.#context);
    this.#runs.set(run.id, run);
    this.#unacknowledged.add(run.id);
    this.emit('state', run);
    begin(run);
    return { ...run.summary(), known: false };
  }

  /** Hands free slots to those who wait, in the order of acceptance. */
  #startQueued(): void {
    const free = this.#options.maxExecutions - this.#live().length;
    if (!this.#isDraining)
      this.#queued()
        .slice(0, Math.max(0, free))
        .forEach((run) => run.takeSlot());
  }

  #queued(): Run[] {
    return this.#open().filter((run) => run.isQueued);
  }

  #live(): Run[] {
    return this.#open().filter((run) => run.isLive);
  }

  #open(): Run[] {
    return [...this.#unacknowledged].map((id) => this.run(id));
  }

  #rememberCancel(id: string): void {
    this.#rememberedCancels.delete(id);
    this.#rememberedCancels.set(id, monotonicMs());
    const [oldest] = this.#rememberedCancels.keys();
    if (this.#rememberedCancels.size > REMEMBERED_CANCELS_MAX && oldest !== undefined) {
      this.#rememberedCancels.delete(oldest);
    }
  }

  #takeCancel(id: string): boolean {
    const at = this.#rememberedCancels.get(id);
    this.#rememberedCancels.delete(id);
    return at !== undefined && monotonicMs() - at <= LIMITS.cancelMemoryMs;
  }

  #prune(): void {
    this.#dropOldest(this.#acknowledged, ACKNOWLEDGED_MAX);
    this.#dropOldest(this.#unacknowledged, UNACKNOWLEDGED_MAX, (id) =>
      this.#options.logger.error(
        { executionId: id },
        'outcome dropped: no host acknowledged it, and there are too many',
      ),
    );
  }

  #dropOldest(ids: Set<string>, max: number, report?: (id: string) => void): void {
    for (const id of ids) {
      if (ids.size <= max) return;
      if (this.run(id).outcome === null) continue;
      ids.delete(id);
      this.#runs.delete(id);
      report?.(id);
      this.#options.state
        .removeExecution(id)
        .catch((error: unknown) => this.#options.logger.warn({ err: error, executionId: id }, 'cannot remove logs'));
    }
  }
}
