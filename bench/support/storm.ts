/** What is said to the processes of agents and hosts, and what they answer. In a file of its own, as theirs would run. */

export type AgentsJob =
  /** Each agent runs so many more, under ids that begin so. Answered with {@link Targets}. */
  | { readonly do: 'run'; readonly prefix: string; readonly each: number }
  | { readonly do: 'forget' }
  /**
   * Everything that runs ends, something else begins, and all connections are cut, for so long. Answered with {@link Storm} when
   * everything that has ended is acknowledged.
   */
  | { readonly do: 'storm'; readonly prefix: string; readonly awayMs: number };

export type Targets = readonly { readonly url: string; readonly token: string }[];

/** Times are epoch ms. */
export interface Storm {
  readonly cutAt: number;
  readonly attemptedAt: number[];
  readonly connectedAt: number[];
  readonly acknowledgedAt: number;
}

export type HostJob =
  | { readonly do: 'connect'; readonly targets: Targets }
  /** Answered when so many executions in all have been taken in that were not known. */
  | { readonly do: 'taken'; readonly count: number }
  | { readonly do: 'measure' };

export interface HostAnswer {
  readonly at: number;
  readonly rssBytes: number;
  readonly heapBytes: number;
  /** Attempts to connect that failed since the last answer, those of them that timed out, and other warnings. */
  readonly failed: number;
  readonly timedOut: number;
  readonly warnings: string[];
}
