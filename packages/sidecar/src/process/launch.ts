import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, constants, openSync, statSync } from 'node:fs';
import { findExecutable } from './executable.js';

export interface LaunchRequest {
  /** Commands that lead to this one and become it: they mark its process and change its user. */
  readonly prefix: readonly string[];
  readonly command: string;
  readonly argv: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly cwd: string;
  readonly files: { readonly stdin: string; readonly stdout: string; readonly stderr: string };
  /** Its stdin is a FIFO of which it has both ends, so that it never ends. @default it is a file */
  readonly hasOpenInput?: boolean;
}

export interface LaunchCallbacks {
  onLaunched(pid: number): void;
  onFailed(message: string): void;
  onExit(exit: { code: number | null; signal: string | null }): void;
}

/**
 * Starts a process with its three streams on files, in a session and process group of its own, without a shell.
 *
 * Exactly one of `onLaunched` and `onFailed` is called, and `onExit` once after `onLaunched`. `exit` and not `close`
 * ends a run: `close` waits for every grandchild that holds a stream.
 */
export function launch(request: LaunchRequest, callbacks: LaunchCallbacks): void {
  const command = findExecutable(request.command, request.environment['PATH']);
  const problem = command === null ? commandProblem(request.command) : cwdProblem(request.cwd);
  if (command === null || problem !== null) {
    callbacks.onFailed(problem ?? request.command);
    return;
  }
  const [file = command, ...argv] = [...request.prefix, command, ...request.argv];
  const fds: number[] = [];
  let child: ChildProcess;
  try {
    const { stdin, stdout, stderr } = request.files;
    const readInput = request.hasOpenInput === true ? constants.O_RDWR : constants.O_RDONLY;
    fds.push(openSync(stdin, readInput), openSync(stdout, 'a'), openSync(stderr, 'a'));
    child = spawn(file, argv, { cwd: request.cwd, env: request.environment, stdio: fds, detached: true });
  } catch (error) {
    callbacks.onFailed(spawnProblem(error as NodeJS.ErrnoException, request.command));
    return;
  } finally {
    fds.forEach((fd) => closeSync(fd));
  }

  child.on('error', (error) => {
    if (child.pid === undefined) callbacks.onFailed(spawnProblem(error, request.command));
  });
  child.on('exit', (code, signal) => callbacks.onExit({ code, signal }));
  if (child.pid !== undefined) callbacks.onLaunched(child.pid);
}

/** Found out beforehand, because afterwards it would only be the exit code of whatever leads to the command. */
function commandProblem(command: string): string {
  return `cannot start ${command}: it is no executable file; check --claude, PATH and the file's mode`;
}

/** A folder that cannot be entered makes `spawn` report that the command was not found, so it is looked at first. */
function cwdProblem(cwd: string): string | null {
  try {
    return statSync(cwd).isDirectory() ? null : `cannot start in ${cwd}: it is not a folder`;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return `cannot start in ${cwd}: ${code === 'ENOENT' ? 'there is no such folder' : message}`;
  }
}

const SPAWN_PROBLEMS: Readonly<Record<string, string>> = {
  EAGAIN: 'the system allows no further process (EAGAIN); check the limits on processes',
  ENOMEM: 'there is not enough memory (ENOMEM)',
  E2BIG: 'arguments and environment are too long (E2BIG)',
  ENOSPC: 'there is no space left under the state folder (ENOSPC)',
  EMFILE: 'the sidecar has too many open files (EMFILE)',
};

function spawnProblem(error: NodeJS.ErrnoException, command: string): string {
  return `cannot start ${command}: ${SPAWN_PROBLEMS[error.code ?? ''] ?? error.message}`;
}
