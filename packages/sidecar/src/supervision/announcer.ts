import { EventEmitter } from 'node:events';
import { type Outcome, type SidecarFrame } from '@outrigger/protocol';
import { type Logger } from 'pino';
import { type KnownRun } from './known-run.js';

/** What hosts are told of admission. */
export type AdmissionNotice = SidecarFrame<'drain_progress' | 'circuit_opened' | 'circuit_closed'>;

interface SupervisorEvents {
  state: [run: KnownRun];
  outcome: [run: KnownRun, outcome: Outcome];
  admission: [notice: AdmissionNotice];
}

/** Tells every host of what happens on this agent. */
export class Announcer extends EventEmitter<SupervisorEvents> {
  readonly #logger: Logger;

  constructor(logger: Logger) {
    super();
    this.setMaxListeners(0);
    this.#logger = logger;
  }

  /** Whether any host is connected. */
  get hasHosts(): boolean {
    return this.listenerCount('outcome') > 0;
  }

  /** A host that cannot be told costs neither the run nor the other hosts anything. */
  protected announce<Name extends keyof SupervisorEvents>(name: Name, ...event: SupervisorEvents[Name]): void {
    for (const listener of this.rawListeners(name) as ((...event: SupervisorEvents[Name]) => void)[]) {
      try {
        listener(...event);
      } catch (error) {
        const about = 'type' in event[0] ? { type: event[0].type } : { executionId: event[0].id };
        this.#logger.error({ err: error, ...about }, 'a host cannot be told');
      }
    }
  }
}
