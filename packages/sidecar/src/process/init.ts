import { readFileSync } from 'node:fs';

/** Name of process 1; null where there is no `/proc`. */
export function readInitName(): string | null {
  try {
    return readFileSync('/proc/1/comm', 'utf8').trim();
  } catch {
    return null;
  }
}
