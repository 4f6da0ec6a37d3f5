import { type Circuit, type Drain, type SidecarFrame, type Welcome } from '@outrigger/protocol';
import { type AgentSeen } from './core/drain-end.js';
import { type AdmissionEvent } from './events.js';

/** What an agent tells of its admission, as a frame. */
export type AdmissionNotice = SidecarFrame<'drain_progress' | 'circuit_opened' | 'circuit_closed'>;

/** Who waits for something that an agent says of itself. */
export interface AdmissionWatcher {
  /** Something may have changed. */
  look(): void;
  /** Nothing more will be heard. */
  fail(error: Error): void;
}

/** What this host knows of an agent's admission: which process it is, whether it is drained, how its circuit stands. */
export class Admission {
  readonly #onEvent: (event: AdmissionEvent) => void;
  readonly #watchers = new Set<AdmissionWatcher>();
  #bootId = '';
  #drain: Drain | undefined;
  #openedAt: Circuit['openedAt'] | undefined;

  constructor(onEvent: (event: AdmissionEvent) => void) {
    this.#onEvent = onEvent;
  }

  /** Whether the agent has said that it admits nothing. */
  get isClosed(): boolean {
    const isDrained = this.#drain !== undefined && this.#drain.state !== 'ended';
    return isDrained || this.#openedAt !== undefined;
  }

  /** As the agent has told last. */
  get seen(): AgentSeen {
    return { bootId: this.#bootId, drain: this.#drain };
  }

  /** Each connection begins with how things stand; what was not heard of meanwhile is told now. */
  onWelcome({ bootId, drain, circuit }: Pick<Welcome, 'bootId' | 'drain' | 'circuit'>): void {
    this.#bootId = bootId;
    this.#drain = drain;
    if (circuit === undefined) this.#close();
    else {
      const { state: _state, ...opening } = circuit;
      this.#open(opening);
    }
    this.#look();
  }

  onNotice(notice: AdmissionNotice): void {
    switch (notice.type) {
      case 'drain_progress': {
        const { type: _type, at, ...drain } = notice;
        this.#drain = drain;
        this.#onEvent({ name: 'drainProgress', event: { at, ...drain } });
        this.#look();
        break;
      }
      case 'circuit_opened': {
        const { type: _type, ...opening } = notice;
        this.#open(opening);
        break;
      }
      case 'circuit_closed': {
        const { at, executionId } = notice;
        this.#close({ at, executionId });
      }
    }
  }

  /** Tells `watcher` of changes. Returns how to stop that. */
  watch(watcher: AdmissionWatcher): () => void {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  /** Nobody will hear more. */
  abandon(error: Error): void {
    for (const watcher of [...this.#watchers]) watcher.fail(error);
  }

  #look(): void {
    for (const watcher of [...this.#watchers]) watcher.look();
  }

  /** Once for each opening, however many connections tell of it. */
  #open(opening: Omit<Circuit, 'state'>): void {
    if (this.#openedAt === opening.openedAt) return;
    this.#openedAt = opening.openedAt;
    this.#onEvent({ name: 'circuitOpened', event: opening });
  }

  #close(closing: { at?: number; executionId?: string } = {}): void {
    const openedAt = this.#openedAt;
    if (openedAt === undefined) return;
    this.#openedAt = undefined;
    this.#onEvent({ name: 'circuitClosed', event: { openedAt, ...closing } });
  }
}
