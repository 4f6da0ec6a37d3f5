/** An agent, as far as placing executions on it goes. */
export interface Place {
  readonly agentId: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Executions it runs at the same time, at most. */
  readonly max: number;
  /** Executions that hold a slot, or are about to. */
  readonly live: number;
  readonly queued: number;
  /** It has said that it admits nothing: it is drained, or its circuit is open. */
  readonly isClosed: boolean;
}

/** Whether something carries all of some labels. */
export function carries(labels: Readonly<Record<string, string>>, wanted: Readonly<Record<string, string>>): boolean {
  return Object.entries(wanted).every(([name, value]) => labels[name] === value);
}

/**
 * Agents to try for an execution, the best first: those with a free slot, the freest first; then those without, by how long
 * their queue is for its size. What admits nothing comes last, as it may have changed its mind.
 *
 * @param labels an agent has to carry all of them
 */
export function rankPlaces(places: readonly Place[], labels: Readonly<Record<string, string>>): Place[] {
  return places
    .filter((place) => carries(place.labels, labels))
    .sort(
      (a, b) =>
        Number(a.isClosed) - Number(b.isClosed) ||
        Number(!hasRoom(a)) - Number(!hasRoom(b)) ||
        load(a) - load(b) ||
        b.max - a.max ||
        (a.agentId < b.agentId ? -1 : 1),
    );
}

export function hasRoom({ live, queued, max }: Place): boolean {
  return live + queued < max;
}

/** The fraction of its slots that is spoken for. */
function load({ live, queued, max }: Place): number {
  return max === 0 ? Infinity : (live + queued) / max;
}
