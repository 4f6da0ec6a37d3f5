import { colors } from './terminal.js';

/** What should be, and whether it is. */
export type Check = readonly [what: string, isSo: boolean];

/** Prints what was checked, and says whether all of it is as it should be. */
export function report(checks: readonly Check[]): boolean {
  console.log();
  for (const [what, isSo] of checks) console.log(isSo ? `${colors.green('✓')} ${what}` : colors.red(`✗ ${what}`));
  return checks.every(([, isSo]) => isSo);
}
