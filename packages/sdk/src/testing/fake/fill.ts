import { setImmediate as nextTick, setTimeout as delay } from 'node:timers/promises';
import { writeAll } from './output.js';
import { type FillStep } from './steps.js';

const chunkBytes = 64 * 1024;
const chunksPerTurn = 16;
const numberWidth = 10;
const stampWidth = 17;

interface Template {
  readonly bytes: Buffer;
  readonly numberAt: number;
  /** Where the time goes; absent for lines without one. */
  readonly stampAt?: number;
}

/** Prints the lines of a fill step. Numbers are patched into ready-made chunks, so it is as fast as write(2). */
export async function fill(step: FillStep): Promise<void> {
  const line = makeLine(step);
  const lineBytes = line.bytes.length;
  const lines = step.lines ?? Math.ceil((step.bytes ?? 0) / lineBytes);
  const isPaced = step.stamped === true || step.everyMs !== undefined;
  const perChunk = isPaced ? 1 : Math.max(1, Math.floor(chunkBytes / lineBytes));
  const chunk = Buffer.concat(Array.from({ length: perChunk }, () => line.bytes));
  for (let n = 0, turn = 0; n < lines; n += perChunk, turn += 1) {
    const count = Math.min(perChunk, lines - n);
    for (let index = 0; index < count; index += 1) number(chunk, index * lineBytes + line.numberAt, n + index);
    if (line.stampAt !== undefined) stamp(chunk, line.stampAt);
    writeAll(step.to ?? 'stdout', chunk.subarray(0, count * lineBytes));
    if (step.everyMs !== undefined && n + 1 < lines) await delay(step.everyMs);
    // Signal handlers run between turns of the event loop; without this a long fill would be deaf.
    if (turn % chunksPerTurn === 0) await nextTick();
  }
}

function makeLine(step: FillStep): Template {
  const type = step.as ?? 'fill';
  const beforeNumber = `{"type":"${type}","n":`;
  const stampField = step.stamped === true ? `,"at":${' '.repeat(stampWidth)}` : '';
  const [open, close] =
    type === 'assistant'
      ? [`,"message":{"model":"claude-fake","role":"assistant","content":[{"type":"text","text":"`, `"}]}}\n`]
      : [`,"pad":"`, `"}\n`];
  const head = `${beforeNumber}${' '.repeat(numberWidth)}${stampField}${open}`;
  const padding = Math.max(0, (step.lineBytes ?? 1024) - head.length - close.length);
  const bytes = Buffer.from(head + 'x'.repeat(padding) + close);
  const stampAt = beforeNumber.length + numberWidth + `,"at":`.length;
  return { bytes, numberAt: beforeNumber.length, ...(step.stamped === true ? { stampAt } : {}) };
}

// Fixed width, filled with spaces on the left, which JSON allows in front of a number.
function number(chunk: Buffer, at: number, value: number): void {
  let rest = value;
  for (let position = at + numberWidth - 1; position >= at; position -= 1) {
    chunk[position] = rest > 0 || position === at + numberWidth - 1 ? 48 + (rest % 10) : 32;
    rest = Math.floor(rest / 10);
  }
}

function stamp(chunk: Buffer, at: number): void {
  chunk.write((performance.timeOrigin + performance.now()).toFixed(3).padStart(stampWidth), at, 'latin1');
}
