/** How long to wait between tries. Milliseconds. */
export interface Backoff {
  readonly baseMs: number;
  readonly capMs: number;
}

/**
 * Delay before the next try, with full jitter: anywhere between nothing and the exponential bound, so that a thousand
 * clients of one restarted peer spread out instead of coming back together.
 *
 * @param failures how many tries in a row have failed, at least 1
 * @param random from [0, 1)
 * @see https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
 */
export function fullJitterMs({ baseMs, capMs }: Backoff, failures: number, random: number): number {
  return random * Math.min(capMs, baseMs * 2 ** (failures - 1));
}
