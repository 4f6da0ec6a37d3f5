/** Monotonic milliseconds, unmoved by changes of the wall clock and, within one boot of the machine, by restarts. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint() / 1000n) / 1000;
}
