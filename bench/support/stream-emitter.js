#!/usr/bin/env node
// The child whose stream is measured, in place of `claude`. It prints BENCH_LINES lines as a turn that streams does, and a
// result. Each has its number in `n`. Without BENCH_EVERY_MS they are rendered beforehand and written in large chunks, so that
// the child holds nobody up; the first one says when that began. Otherwise each is written by itself at its time and says so.
import { writeSync } from 'node:fs';
import { createInterface } from 'node:readline';

const LINE_BYTES = 300;
const LINES_PER_ASSISTANT = 20;
const CHUNK_BYTES = 64 * 1024;
const SESSION = '3f2b8c1e-0000-4000-8000-000000000000';

const lines = Number(process.env.BENCH_LINES);
const everyMs = Number(process.env.BENCH_EVERY_MS ?? 0);
const clock = new Int32Array(new SharedArrayBuffer(4));

if (process.argv.includes('--version')) print('2.1.329 (Claude Code) emitter\n');
else if (process.argv.includes('stream-json') && process.argv.includes('--input-format')) converse();
else stream();

/** With its input as a stream, it is greeted before it is told what to do. */
function converse() {
  createInterface({ input: process.stdin }).on('line', (line) => {
    const { type, request_id } = JSON.parse(line);
    if (type === 'control_request')
      printJson({ type: 'control_response', response: { subtype: 'success', request_id, response: {} } });
    if (type === 'user') stream();
  });
}

function stream() {
  if (everyMs > 0) streamPaced();
  else streamAtOnce();
  printJson({
    type: 'result',
    subtype: 'success',
    is_error: false,
    num_turns: 1,
    result: 'done',
    session_id: SESSION,
    total_cost_usd: 0,
    usage: { input_tokens: 1, output_tokens: 1 },
  });
  process.exit(0);
}

function streamAtOnce() {
  const rest = Buffer.from(Array.from({ length: lines - 1 }, (_, i) => lineOf(i + 1, null)).join(''));
  print(lineOf(0, nowMs()));
  for (let at = 0; at < rest.length; at += CHUNK_BYTES) print(rest.subarray(at, at + CHUNK_BYTES));
}

function streamPaced() {
  const startedAt = nowMs();
  for (let n = 0; n < lines; n++) {
    const waitMs = startedAt + n * everyMs - nowMs();
    if (waitMs > 0) sleep(waitMs);
    print(lineOf(n, nowMs()));
  }
}

/** A delta of a text, or the message it belongs to. */
function lineOf(n, sentAtMs) {
  const place = {
    session_id: SESSION,
    parent_tool_use_id: null,
    uuid: SESSION.slice(0, -12) + String(n).padStart(12, '0'),
  };
  const message = (text) =>
    n % LINES_PER_ASSISTANT === LINES_PER_ASSISTANT - 1
      ? { type: 'assistant', message: { role: 'assistant', model: 'claude', content: [{ type: 'text', text }] } }
      : { type: 'stream_event', event: { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text } } };
  const render = (text) => `${JSON.stringify({ ...message(text), ...place, n, sent_at_ms: sentAtMs })}\n`;
  return render('x'.repeat(LINE_BYTES - render('').length));
}

function printJson(event) {
  print(`${JSON.stringify(event)}\n`);
}

function print(text) {
  const bytes = Buffer.from(text);
  for (let done = 0; done < bytes.length;) {
    try {
      done += writeSync(1, bytes, done);
    } catch (error) {
      // A pipe that does not block is full.
      if (error.code !== 'EAGAIN') throw error;
      sleep(1);
    }
  }
}

function sleep(ms) {
  Atomics.wait(clock, 0, 0, ms);
}

/** The machine's own clock, which is one for all processes. */
function nowMs() {
  return Number(process.hrtime.bigint()) / 1e6;
}
