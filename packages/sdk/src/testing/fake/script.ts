import { type FakeStep } from './steps.js';

const marker = 'FAKE-CLAUDE-SCRIPT';

type Kind = 'string' | 'number' | 'boolean' | 'object' | 'strings' | 'signal' | 'signals' | 'steps' | 'stream' | 'fill';

// A trailing `?` marks what may be left out. A field that is not listed is a mistake too: most are typing errors.
const shapes: Record<FakeStep['do'], Record<string, Kind | `${Kind}?`>> = {
  event: { event: 'object' },
  init: { model: 'string?', extra: 'object?' },
  assistant: { text: 'string', model: 'string?', error: 'string?', extra: 'object?' },
  result: {
    subtype: 'string?',
    is_error: 'boolean?',
    result: 'string?',
    errors: 'strings?',
    api_error_status: 'number?',
    num_turns: 'number?',
    total_cost_usd: 'number?',
    usage: 'object?',
    extra: 'object?',
  },
  request: { prompt: 'string?', model: 'string?' },
  write: { text: 'string?', base64: 'string?', to: 'stream?' },
  fill: {
    lines: 'number?',
    bytes: 'number?',
    lineBytes: 'number?',
    as: 'fill?',
    stamped: 'boolean?',
    everyMs: 'number?',
    to: 'stream?',
  },
  spawn: {
    seconds: 'number',
    holdStdout: 'boolean?',
    setsid: 'boolean?',
    cleanEnv: 'boolean?',
    ignoreSignals: 'boolean?',
    respawn: 'boolean?',
    doubleFork: 'boolean?',
  },
  printEnv: {},
  sleep: { ms: 'number' },
  hang: {},
  ignoreSignals: { signals: 'signals' },
  onSignal: { signal: 'signal', steps: 'steps' },
  waitForFile: { path: 'string' },
  touch: { path: 'string', text: 'string?' },
  exit: { code: 'number' },
  kill: { signal: 'signal' },
};

const isSignal = (value: unknown): boolean => typeof value === 'string' && /^SIG[A-Z0-9]+$/.test(value);

const checks: Record<Exclude<Kind, 'steps'>, (value: unknown) => boolean> = {
  string: (value) => typeof value === 'string',
  number: (value) => typeof value === 'number' && value >= 0,
  boolean: (value) => typeof value === 'boolean',
  object: (value) => typeof value === 'object' && value !== null,
  strings: (value) => Array.isArray(value) && value.every((one) => typeof one === 'string'),
  signal: isSignal,
  signals: (value) => Array.isArray(value) && value.every(isSignal),
  stream: (value) => value === 'stdout' || value === 'stderr',
  fill: (value) => value === 'fill' || value === 'assistant',
};

/**
 * The prompt that makes the fake CLI do these steps.
 * @example fakeScript([{ do: 'init' }, { do: 'assistant', text: 'Hi' }, { do: 'result' }])
 * @throws TypeError that names the first wrong step
 */
export function fakeScript(steps: readonly FakeStep[]): string {
  const problem = problemIn(steps, 'step');
  if (problem !== undefined) throw new TypeError(problem);
  return `${marker}\n${JSON.stringify(steps)}\n`;
}

/**
 * The steps a prompt holds; undefined for a prompt that is no script.
 * @throws TypeError that names the first wrong step
 */
export function parseScript(prompt: string): FakeStep[] | undefined {
  if (!prompt.startsWith(`${marker}\n`)) return undefined;
  let steps: unknown;
  try {
    steps = JSON.parse(prompt.slice(marker.length));
  } catch (error) {
    throw new TypeError(`the script is not JSON: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  }
  const problem = problemIn(steps, 'step');
  if (problem !== undefined) throw new TypeError(problem);
  return steps as FakeStep[];
}

function problemIn(steps: unknown, path: string): string | undefined {
  if (!Array.isArray(steps)) return `${path}s: expected an array of steps`;
  for (const [index, step] of steps.entries()) {
    const problem = problemOf(step, `${path} ${index}`);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function problemOf(step: unknown, path: string): string | undefined {
  const fields = (typeof step === 'object' && step !== null ? step : {}) as Record<string, unknown>;
  const name = String(fields['do']);
  if (!Object.hasOwn(shapes, name)) return `${path}: unknown step "${name}"`;
  const shape = shapes[name as FakeStep['do']];
  const unknown = Object.keys(fields).find((field) => field !== 'do' && !Object.hasOwn(shape, field));
  if (unknown !== undefined) return `${path} (${name}): unknown field "${unknown}"`;
  for (const [field, wanted] of Object.entries(shape)) {
    const kind = wanted.replace('?', '') as Kind;
    const value = fields[field];
    if (value === undefined && wanted !== kind) continue;
    if (kind !== 'steps' && !checks[kind](value)) return `${path} (${name}): "${field}" is no valid ${kind}`;
    const inner = kind === 'steps' ? problemIn(value, `${path} (${name}), step`) : undefined;
    if (inner !== undefined) return inner;
  }
  return undefined;
}
