import { spawnSync } from 'node:child_process';

/** Something the tests need of the machine, and the Debian package that has it. */
export interface Needed {
  readonly what: string;
  readonly debianPackage: string;
  readonly isThere: () => boolean;
}

/** Makes sure that it is there, with apt where that can be done. @throws Error with one line that says what to do */
export function ensureInstalled({ what, debianPackage, isThere }: Needed): void {
  if (isThere()) return;
  if (process.getuid?.() === 0 && spawnSync('apt-get', ['--version']).status === 0) {
    process.stdout.write(`installing ${debianPackage}, which the tests need\n`);
    const quietly = { stdio: 'ignore', env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } } as const;
    spawnSync('apt-get', ['update', '-qq'], quietly);
    spawnSync('apt-get', ['install', '-y', '-qq', '--no-install-recommends', debianPackage], quietly);
  }
  if (!isThere()) throw new Error(`the tests need ${what}: apt-get install ${debianPackage}`);
}
