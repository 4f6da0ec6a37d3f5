import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import inspector from 'node:inspector';
import { isCredentialVariable } from './claude/environment.js';
import { findExecutable } from './process/executable.js';

/** Flags of Node that lay open what a process has in memory: to a debugger, or in a file. */
const REVEALING = /^--(inspect(-brk|-wait)?$|heapsnapshot-|heap-prof$|report-(on-|uncaught-)|tls-keylog)/;

export interface Hardening {
  /** What is left of core dumps. */
  readonly coreDumps: 'none' | 'without memory' | 'as the system makes them';
  /** For the operator. */
  readonly warnings: readonly string[];
}

/**
 * Keeps the secrets in this process from leaving it by ways that an operator does not think of. To be called before
 * anything secret is read. What Node was told to do on purpose stays as it is, with a warning.
 */
export function harden(): Hardening {
  const asked = revealingFlags();
  // Without a listener this signal makes Node open its inspector, to whoever can reach the machine's loopback.
  process.on('SIGUSR1', () => undefined);
  // It may have come before there was one.
  if (!asked.some((flag) => flag.startsWith('--inspect'))) inspector.close();
  return {
    coreDumps: restrictCoreDumps(),
    warnings: asked.map((flag) => `Node was started with ${flag}, which lays open the secrets in the sidecar's memory`),
  };
}

/**
 * Takes what is secret out of this process's environment, so that neither its children nor a report of Node's have it.
 * What the process was started with stays readable in proc(5).
 */
export function forgetSecrets(environment: NodeJS.ProcessEnv): void {
  for (const name of Object.keys(environment)) {
    if (isCredentialVariable(name) || name === 'OUTRIGGER_TOKEN') Reflect.deleteProperty(environment, name);
  }
}

function revealingFlags(): string[] {
  const options = (process.env['NODE_OPTIONS'] ?? '').split(/[\s"]+/);
  const names = [...process.execArgv, ...options].map((flag) => flag.split('=', 1)[0]?.replaceAll('_', '-') ?? '');
  return [...new Set(names.filter((name) => REVEALING.test(name)))];
}

/**
 * Runs inherit it. They find the hard limit as it was, so a tool that needs a core dump can ask for one; with a gateway
 * there is nothing but a placeholder in it.
 */
function restrictCoreDumps(): Hardening['coreDumps'] {
  const prlimit = findExecutable('prlimit', process.env['PATH']);
  // One byte: with 0 the kernel would still pipe a dump to a program, where the system has one for that.
  const limit = ['--core=1:', `--pid=${process.pid}`];
  if (prlimit !== null && succeeds(() => execFileSync(prlimit, limit, { stdio: 'ignore', env: {} }))) return 'none';
  if (succeeds(() => writeFileSync('/proc/self/coredump_filter', '0'))) return 'without memory';
  return 'as the system makes them';
}

function succeeds(act: () => void): boolean {
  try {
    act();
    return true;
  } catch {
    return false;
  }
}
