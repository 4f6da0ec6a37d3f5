import { execFileSync, spawn } from 'node:child_process';
import {
  closeSync,
  constants,
  mkdtempSync,
  openSync,
  readdirSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, expect, it, onTestFinished } from 'vitest';
import { InputPipe, makeFifo } from './input-pipe.js';

/** What a full pipe holds on Linux, unless the system says otherwise. */
const PIPE_BYTES = 65_536;
const READER = `require('readline').createInterface(process.stdin).on('line', (line) => console.log(line.length))`;

async function newFifo(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'outrigger-fifo-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'stdin');
  await makeFifo(path);
  return path;
}

function openPipe(path: string): InputPipe {
  const pipe = new InputPipe(path);
  onTestFinished(() => pipe.close());
  return pipe;
}

/** A process that has both ends of the FIFO as its stdin, and prints how long each line is. */
function startReader(path: string) {
  const fd = openSync(path, constants.O_RDWR);
  const reader = spawn(process.execPath, ['-e', READER], { stdio: [fd, 'pipe', 'inherit'] });
  closeSync(fd);
  onTestFinished(() => void reader.kill('SIGKILL'));
  if (reader.stdout === null) throw new Error('stdout is no pipe');
  const lines = createInterface({ input: reader.stdout })[Symbol.asyncIterator]();
  return { reader, next: async () => Number(((await lines.next()) as { value: string }).value) };
}

describe('the input of a process', () => {
  it('is read in the order in which it was written', async () => {
    const path = await newFifo();
    const { next } = startReader(path);
    const pipe = openPipe(path);
    await Promise.all([1, 2, 3].map((length) => pipe.write(`${'x'.repeat(length)}\n`)));
    expect([await next(), await next(), await next()]).toEqual([1, 2, 3]);
  });

  it('does not end with the one who writes it, and goes on with another', async () => {
    const path = await newFifo();
    const { reader, next } = startReader(path);
    const first = new InputPipe(path);
    await first.write('a\n');
    first.close();
    expect(await next()).toBe(1);
    const second = openPipe(path);
    await second.write('bb\n');
    expect(await next()).toBe(2);
    expect(reader.exitCode).toBeNull();
  });

  it('waits in the pipe for a process that is started later', async () => {
    const path = await newFifo();
    const pipe = openPipe(path);
    await pipe.write('early\n');
    const { next } = startReader(path);
    expect(await next()).toBe(5);
  });

  it('takes what fits an empty pipe at once, and keeps nobody waiting where there is no room', async () => {
    const path = await newFifo();
    const pipe = openPipe(path);
    await pipe.write(`${'x'.repeat(PIPE_BYTES - 1)}\n`);
    let isWritten = false;
    const more = pipe.write('y\n').then(() => (isWritten = true));
    // The event loop turns meanwhile.
    await new Promise((resolve) => setImmediate(resolve));
    expect(isWritten).toBe(false);
    const { next } = startReader(path);
    await more;
    expect([await next(), await next()]).toEqual([PIPE_BYTES - 1, 1]);
  });

  it('can be larger than a pipe', async () => {
    const path = await newFifo();
    const { next } = startReader(path);
    await openPipe(path).write(`${'x'.repeat(1_000_000)}\n`);
    expect(await next()).toBe(1_000_000);
  });

  it('is refused where a run has put something else in its place', async () => {
    const path = await newFifo();
    const openFiles = () => readdirSync('/proc/self/fd').map((fd) => linkTarget(`/proc/self/fd/${fd}`));
    rmSync(path);
    writeFileSync(path, '');
    expect(() => new InputPipe(path)).toThrow('no FIFO');
    expect(openFiles()).not.toContain(path);
    rmSync(path);
    symlinkSync('/dev/null', path);
    expect(() => new InputPipe(path)).toThrow('ELOOP');
    rmSync(path);
    expect(() => new InputPipe(path)).toThrow('ENOENT');
  });

  it('is closed with its file', async () => {
    const path = await newFifo();
    const pipe = new InputPipe(path);
    const isOpen = () => readdirSync('/proc/self/fd').some((fd) => linkTarget(`/proc/self/fd/${fd}`) === path);
    expect(isOpen()).toBe(true);
    pipe.close();
    await expect.poll(isOpen).toBe(false);
    await pipe.write('nobody reads it\n');
  });

  it('can be read by nobody else', async () => {
    const path = await newFifo();
    expect(execFileSync('stat', ['-c', '%a %F', path]).toString().trim()).toBe('600 fifo');
    await expect(makeFifo(path)).rejects.toThrow('File exists');
  });
});

function linkTarget(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}
