import { readFileSync } from 'node:fs';

/** Monotonic milliseconds, unmoved by changes of the wall clock and, within one boot of the machine, by restarts. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint() / 1000n) / 1000;
}

/** Names the boot of the machine to which monotonic milliseconds belong; the same for all its containers. */
export function machineBootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return 'unknown';
  }
}
