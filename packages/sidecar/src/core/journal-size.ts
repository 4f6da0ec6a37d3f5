/** When a journal is made anew with what still counts in it, so that its size is bound by that and not by its age. */

export interface JournalSizeLimits {
  /** A smaller journal is left as it is. */
  readonly bytesMin: number;
  /** How many times as large as what still counts in it a journal may be. */
  readonly timesLiveMax: number;
  /** How much larger it may be at most. */
  readonly slackBytesMax: number;
}

const MIB = 1024 * 1024;

export const JOURNAL_SIZE_LIMITS: JournalSizeLimits = { bytesMin: MIB, timesLiveMax: 4, slackBytesMax: 256 * MIB };

/**
 * The size up to which a journal is left as it is. The cost of making it anew is spread over at least
 * `timesLiveMax - 1` times as many bytes appended.
 *
 * @param liveBytes Of the fewest records that amount to the same.
 */
export function journalBytesMax(liveBytes: number, limits = JOURNAL_SIZE_LIMITS): number {
  const { bytesMin, timesLiveMax, slackBytesMax } = limits;
  return Math.max(bytesMin, Math.min(liveBytes * timesLiveMax, liveBytes + slackBytesMax));
}
