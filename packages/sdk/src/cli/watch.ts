import { setTimeout as delay } from 'node:timers/promises';
import { type ExecutionSummary } from '@outrigger/protocol';
import { type Agent, type AgentInfo, type AgentStatus } from '../agent.js';

/** How long an address is left alone at which nobody was reached. */
const REACHED_AGAIN_MS = 1000;

/** An agent as it was seen last. */
export interface View {
  readonly info: AgentInfo;
  /** Null: it does not answer. */
  readonly status: AgentStatus | null;
  readonly executions: readonly ExecutionSummary[];
}

/** Who is watched: an agent, or what may be reached at an address later. */
export interface Watched {
  readonly url: string;
  readonly agent?: Agent;
  readonly reach: () => Promise<Agent>;
}

/**
 * Looks at one agent again and again. One question is out at a time, however long it takes, so that an agent that is silent is not
 * flooded once it is back.
 */
export class Watch {
  readonly url: string;
  readonly #reach: () => Promise<Agent>;
  readonly #stopping: AbortSignal;
  #agent: Agent | undefined;
  #answer: Pick<View, 'status' | 'executions'> | null = null;
  #asking: Promise<void> | null = null;
  #isSilent: boolean;

  constructor({ url, agent, reach }: Watched, stopping: AbortSignal) {
    this.url = url;
    this.#agent = agent;
    this.#reach = reach;
    this.#stopping = stopping;
    this.#isSilent = agent === undefined;
  }

  get isSilent(): boolean {
    return this.#isSilent;
  }

  /** Null: nobody was ever reached. */
  get view(): View | null {
    if (this.#agent === undefined) return null;
    const { info } = this.#agent;
    return this.#isSilent || this.#answer === null ? { info, status: null, executions: [] } : { info, ...this.#answer };
  }

  /** Asks, unless a question is out. Resolves when there is an answer, or none is to be expected; never rejects. */
  ask(): Promise<void> {
    this.#asking ??= this.#look().finally(() => (this.#asking = null));
    return this.#asking;
  }

  /** It was waited for long enough: what has no answer now is silent until one comes. */
  lapse(): void {
    if (this.#asking !== null) this.#isSilent = true;
  }

  async #look(): Promise<void> {
    try {
      const agent = (this.#agent ??= await this.#reach());
      const [status, executions] = await Promise.all([agent.status(), agent.executions()]);
      this.#answer = { status, executions };
      this.#isSilent = false;
    } catch {
      this.#isSilent = true;
      if (this.#agent !== undefined) return;
      await delay(REACHED_AGAIN_MS, undefined, { signal: this.#stopping }).catch(() => undefined);
    }
  }
}

/** Asks all, and waits for those that answered last time: so long, or until it is stopped. */
export async function askAll(
  watches: readonly Watch[],
  limits: { patienceMs: number; stopping: AbortSignal },
): Promise<void> {
  const waitedFor = watches.filter(({ isSilent }) => !isSilent);
  for (const watch of watches) void watch.ask();
  await within(Promise.all(waitedFor.map((watch) => watch.ask())), limits);
  for (const watch of waitedFor) watch.lapse();
}

async function within(work: Promise<unknown>, { patienceMs, stopping }: { patienceMs: number; stopping: AbortSignal }) {
  await new Promise<void>((resolve) => {
    const end = () => {
      clearTimeout(timer);
      stopping.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, patienceMs);
    stopping.addEventListener('abort', end);
    void work.then(end);
  });
}
