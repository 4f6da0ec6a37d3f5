/**
 * What happens to child and sidecar when a run prints 200 MB and its host reads nothing?
 *
 * Next to it, in the same run: the same child writing into a plain file, and a run that prints 1 MB.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Outcome } from '@outrigger/protocol';
import { fakeClaudePath, fakeScript } from '@outrigger/sdk/testing';
import { WebSocket } from 'ws';
import { median, memoryMiB, startSidecar, TOKEN } from './support/process.js';

const RUNS = 9;
const LARGE_BYTES = 200_000_000;
const SMALL_BYTES = 1_000_000;
const LINE_BYTES = 300;
const WINDOW_BYTES = 1024 * 1024;

const largeMs: number[] = [];
const plainMs: number[] = [];
const largeMiB: number[] = [];
const smallMiB: number[] = [];
let linesInOrder = 0;

for (let run = 0; run < RUNS; run++) {
  plainMs.push(await intoPlainFile(LARGE_BYTES));
  const small = await underSidecar(SMALL_BYTES);
  const large = await underSidecar(LARGE_BYTES);
  smallMiB.push(small.peakMiB);
  largeMiB.push(large.peakMiB);
  largeMs.push(large.ms);
  linesInOrder += large.linesInOrder;
  process.stderr.write(`\rrun ${run + 1}/${RUNS}`);
}
process.stderr.write('\n');

const lines = Math.ceil(LARGE_BYTES / LINE_BYTES) * RUNS;
console.log(`child prints 200 MB, host reads nothing until it has ended; medians of ${RUNS}
| | time of the child | ratio | sidecar's peak memory while nothing was read |
| --- | --- | --- | --- |
| into a plain file | ${median(plainMs).toFixed(0)} ms | 1 | |
| 1 MB under the sidecar | | | ${median(smallMiB).toFixed(1)} MiB |
| 200 MB under the sidecar | ${median(largeMs).toFixed(0)} ms | ${(median(largeMs) / median(plainMs)).toFixed(2)} | ${median(largeMiB).toFixed(1)} MiB (+${(median(largeMiB) - median(smallMiB)).toFixed(1)}; worst pair +${Math.max(...largeMiB.map((mib, i) => mib - (smallMiB[i] ?? 0))).toFixed(1)}) |

lines that arrived in order once the host read: ${linesInOrder} of ${lines}`);
process.exitCode = linesInOrder === lines ? 0 : 1;

function script(bytes: number): string {
  return fakeScript([{ do: 'fill', bytes, lineBytes: LINE_BYTES }, { do: 'result' }]);
}

async function intoPlainFile(bytes: number): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'outrigger-bench-'));
  writeFileSync(join(folder, 'stdin'), script(bytes));
  const fds = [openSync(join(folder, 'stdin'), 'r'), openSync(join(folder, 'stdout'), 'a')] as const;
  const startedAt = performance.now();
  const child = spawn(fakeClaudePath, ['-p', '--output-format=stream-json', '--verbose'], {
    stdio: [...fds, 'ignore'],
  });
  await once(child, 'exit');
  const ms = performance.now() - startedAt;
  fds.forEach((fd) => closeSync(fd));
  rmSync(folder, { recursive: true });
  return ms;
}

/** A host that subscribes and then leaves its socket unread until the run has ended. */
async function underSidecar(bytes: number): Promise<{ ms: number; peakMiB: number; linesInOrder: number }> {
  await using sidecar = await startSidecar({ claude: fakeClaudePath });
  const watcher = await connect(sidecar.url);
  const reader = await connect(sidecar.url);
  const outcome = new Promise<Outcome>((resolve) => {
    watcher.on('message', (data: Buffer) => {
      const frame = JSON.parse(data.toString()) as { type: string; outcome?: Outcome };
      if (frame.type === 'outcome' && frame.outcome !== undefined) resolve(frame.outcome);
    });
  });
  const from = { attempt: 1, stdout: 0, stderr: 0 };
  send(reader, { type: 'dispatch', id: 'd', executionId: 'fill', request: { prompt: script(bytes) } });
  send(reader, { type: 'subscribe', id: 's', subscription: 's', executionId: 'fill', from, creditBytes: WINDOW_BYTES });
  reader.pause();

  const { startedAt, endedAt } = await outcome;
  const peakMiB = memoryMiB(sidecar.pid, 'VmHWM');
  const linesInOrder = await readAll(reader);
  watcher.close();
  reader.close();
  return { ms: endedAt - (startedAt ?? NaN), peakMiB, linesInOrder };
}

async function connect(url: string): Promise<WebSocket> {
  const socket = new WebSocket(url, 'outrigger.v1', { headers: { authorization: `Bearer ${TOKEN}` } });
  await once(socket, 'open');
  send(socket, { type: 'hello', versions: [1], client: { name: 'bench' } });
  return socket;
}

function send(socket: WebSocket, frame: object): void {
  socket.send(JSON.stringify(frame));
}

async function readAll(socket: WebSocket): Promise<number> {
  let next = 0;
  let received = 0;
  const done = new Promise<void>((resolve) => {
    socket.on('message', (data: Buffer) => {
      const frame = JSON.parse(data.toString()) as { type: string; start: number; end: number; lines: string[] };
      if (frame.type !== 'output' || frame.start !== received) return;
      received = frame.end;
      for (const line of frame.lines) {
        const event = JSON.parse(line) as { type: string; n?: number };
        if (event.type === 'fill' && event.n === next) next++;
        if (event.type === 'result') resolve();
      }
      send(socket, { type: 'credit', id: 'c', subscription: 's', bytes: frame.end - frame.start });
    });
  });
  socket.resume();
  await done;
  return next;
}
