import { spawn } from 'node:child_process';

/** Runs a task and resolves with what Claude said. */
export function runTask(prompt: string, cwd: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.env['CLAUDE'] ?? 'claude', ['-p', '--output-format', 'stream-json', '--verbose'], {
      cwd,
      timeout: 20 * 60_000,
    });
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.stdin.end(prompt);
    child.on('error', reject);
    child.on('close', (code) => {
      if (code !== 0) reject(new Error(`claude exited with ${code}`));
      else resolve((JSON.parse(output.trim().split('\n').at(-1) ?? '') as { result: string }).result);
    });
  });
}
