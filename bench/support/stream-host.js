// A host that follows the stream of `stream-emitter.js`, to be forked. Its arguments are the process between the two (0: there is
// none), how it follows, and where that is. It takes `{ lines, everyMs }` at a time and sends what came of it:
// `{ eventsPerSecond, cpuUs, latenciesMs, reconnects }`, or `{ error }`.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const EMITTER = fileURLToPath(new URL('stream-emitter.js', import.meta.url));
const WAYS = { outrigger, pipe, 'agent-sdk': agentSdk, 'sandbox-agent': sandboxAgent };

const TICKS_PER_SECOND = 100;

const [pidBetween, name, ...args] = process.argv.slice(2);
const follow = await WAYS[name](...args);
process.on('message', (job) => void run(job));
process.on('disconnect', () => process.exit());
process.send({ ready: true });

async function run(job) {
  try {
    const tally = new Tally(job);
    const reconnects = await follow(tally, envOf(job));
    process.send({ ...tally.result(), reconnects: reconnects ?? 0 });
  } catch (error) {
    process.send({ error: `${name}: ${error.stack}` });
  }
}

/** Counts the messages of the emitter as they come to the host's loop, each once and in order. */
class Tally {
  #job;
  #next = 0;
  #beganAtMs = 0;
  #endedAtMs = 0;
  #cpuBeforeUs = 0;
  #cpuUs = 0;
  #latenciesMs = [];

  constructor(job) {
    this.#job = job;
  }

  get isComplete() {
    return this.#next === this.#job.lines;
  }

  take(message) {
    if (message?.n === undefined) return;
    if (message.n !== this.#next) throw new Error(`event ${message.n} came where ${this.#next} was expected`);
    this.#next++;
    if (this.#job.everyMs > 0) this.#latenciesMs.push(nowMs() - message.sent_at_ms);
    if (message.n === 0) {
      this.#beganAtMs = message.sent_at_ms;
      this.#cpuBeforeUs = cpuUs();
    }
    if (this.isComplete) {
      this.#endedAtMs = nowMs();
      this.#cpuUs = cpuUs() - this.#cpuBeforeUs;
    }
  }

  result() {
    const { lines } = this.#job;
    if (!this.isComplete) throw new Error(`${this.#next} of ${lines} events came`);
    const eventsPerSecond = (lines * 1000) / (this.#endedAtMs - this.#beganAtMs);
    return { eventsPerSecond, cpuUs: this.#cpuUs / lines, latenciesMs: this.#latenciesMs };
  }
}

async function outrigger(url, token) {
  const { createFleet } = await import('@outrigger/sdk');
  const fleet = createFleet();
  const agent = await fleet.connect({ url, token });
  return async (tally, env) => {
    const execution = await agent.dispatch({ prompt: 'go', args: ['--include-partial-messages'], env });
    for await (const event of execution.events()) if (event.type === 'message') tally.take(event.message);
    const { status } = await execution.outcome;
    if (status !== 'succeeded') throw new Error(`the run has ${status}`);
  };
}

function pipe() {
  return async (tally, env) => {
    const child = spawn(EMITTER, [], { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'inherit'] });
    const lines = createInterface({ input: child.stdout });
    await new Promise((resolve, reject) => {
      lines.on('close', resolve);
      lines.on('line', (line) => {
        try {
          tally.take(JSON.parse(line));
        } catch (error) {
          reject(error);
        }
      });
    });
  };
}

async function agentSdk() {
  const { query } = await import('@anthropic-ai/claude-agent-sdk');
  return async (tally, env) => {
    const options = {
      pathToClaudeCodeExecutable: EMITTER,
      includePartialMessages: true,
      env: { ...process.env, ...env, CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1' },
    };
    for await (const message of query({ prompt: 'go', options })) tally.take(message);
  };
}

/** The server drops chunks for a client that is late, so that asks again from the last one it has. */
function sandboxAgent(url) {
  return async (tally, env) => {
    const { id } = await ask(`${url}/v1/processes`, 'POST', { command: EMITTER, args: [], env });
    const place = { sequence: 0, rest: '' };
    let connections = 0;
    for (; !tally.isComplete; connections++) await followLogs(`${url}/v1/processes/${id}/logs`, place, tally);
    await ask(`${url}/v1/processes/${id}/kill`, 'POST');
    await ask(`${url}/v1/processes/${id}`, 'DELETE');
    return connections - 1;
  };
}

/** Returns when all has come, or something is missing. */
async function followLogs(url, place, tally) {
  const response = await fetch(`${url}?follow=true&stream=stdout&since=${place.sequence}`);
  const decoder = new TextDecoder();
  let text = '';
  for await (const chunk of response.body) {
    const events = (text + decoder.decode(chunk, { stream: true })).split('\n\n');
    text = events.pop();
    for (const event of events) {
      const data = event.slice(event.indexOf('data: ') + 'data: '.length);
      const { sequence, data: base64 } = JSON.parse(data);
      if (sequence > place.sequence + 1) return;
      if (sequence <= place.sequence) continue;
      place.sequence = sequence;
      // The stream is ASCII, so no character is cut.
      const lines = (place.rest + Buffer.from(base64, 'base64').toString()).split('\n');
      place.rest = lines.pop();
      for (const line of lines) tally.take(JSON.parse(line));
    }
    if (tally.isComplete) return;
  }
}

async function ask(url, method, body) {
  const response = await fetch(url, {
    method,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  if (!response.ok) throw new Error(`${method} ${url}: ${response.status} ${await response.text()}`);
  return response.status === 204 ? null : response.json();
}

function envOf({ lines, everyMs }) {
  return { BENCH_LINES: String(lines), ...(everyMs > 0 && { BENCH_EVERY_MS: String(everyMs) }) };
}

/** Processor time of this process and the one between so far: fields 14 and 15 of `/proc/PID/stat`. */
function cpuUs() {
  const pids = [process.pid, Number(pidBetween)].filter((pid) => pid > 0);
  const ticks = pids.map((pid) => {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return Number(fields[11]) + Number(fields[12]);
  });
  return (ticks.reduce((sum, each) => sum + each, 0) * 1e6) / TICKS_PER_SECOND;
}

/** The machine's own clock, which is one for all processes. */
function nowMs() {
  return Number(process.hrtime.bigint()) / 1e6;
}
