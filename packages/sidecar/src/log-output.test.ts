import { execFileSync } from 'node:child_process';
import { closeSync, constants, createReadStream, mkdtempSync, openSync, rmSync } from 'node:fs';
import { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, it, onTestFinished } from 'vitest';
import { LogOutput } from './log-output.js';

/** A pipe: the end a process writes to without waiting, and its path for a reader. */
function pipe() {
  const folder = mkdtempSync(join(tmpdir(), 'outrigger-unit-'));
  const path = join(folder, 'pipe');
  execFileSync('mkfifo', [path]);
  // Somebody has the other end open, or nothing could be written.
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const stream = new Socket({ fd: openSync(path, 'w'), readable: false, writable: true });
  onTestFinished(() => {
    stream.destroy();
    rmSync(folder, { recursive: true });
  });
  return { path, reader, stream };
}

it('what nobody reads is dropped beyond a bound, and counted once there is a reader', async () => {
  const { path, reader, stream } = pipe();
  const told: number[] = [];
  const output = new LogOutput(stream, (lines) => {
    told.push(lines);
    output.write('the last line\n');
  });
  const line = `${'x'.repeat(1023)}\n`;
  for (let n = 0; n < 3000; n++) output.write(line);
  expect(stream.writableLength).toBeGreaterThan(1000 * line.length);
  expect(stream.writableLength).toBeLessThanOrEqual(1024 * 1024);

  let received = 0;
  for await (const text of createInterface({ input: createReadStream(path) })) {
    if (text === 'the last line') break;
    received++;
  }
  closeSync(reader);
  expect(told).toEqual([3000 - received]);
  expect(received).toBeGreaterThan(1000);
});

it('a reader that is gone harms nobody, and nothing waits for it', async () => {
  const { reader, stream } = pipe();
  const output = new LogOutput(stream, () => undefined);
  closeSync(reader);
  output.write('x\n');
  await output.flush();
  output.write('x\n');
  await output.flush();
});
