import { execFile } from 'node:child_process';

const TIMEOUT_MS = 20_000;

/** What `claude --version` says, e.g. `2.1.329`; null when it does not say. */
export async function claudeVersion(command: string): Promise<string | null> {
  const stdout = await new Promise<string>((resolve) => {
    execFile(
      command,
      ['--version'],
      { timeout: TIMEOUT_MS, env: { PATH: process.env['PATH'], HOME: '/nonexistent' } },
      (_error, out) => resolve(out),
    );
  });
  return /\d+\.\d+\.\d+\S*/.exec(stdout)?.[0] ?? null;
}
