import { createHash, randomBytes, randomUUID } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statfsSync,
  writeFileSync,
} from 'node:fs';
import { chown, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type RunUser } from '../options/user.js';
import { makeFifo } from '../process/input-pipe.js';
import { type Lock, lockFile } from './lock.js';

const PRIVATE_FOLDER = 0o700;
const PRIVATE_FILE = 0o600;
/** Fails where there is something already. */
const NEW_PRIVATE_FILE = { mode: PRIVATE_FILE, flag: 'wx' } as const;
const TOKEN_BYTES = 32;

export interface AttemptName {
  readonly executionId: string;
  /** Counts from 1. */
  readonly number: number;
}

/** What an attempt finds in its files. */
export interface AttemptInput {
  /** What its stdin holds; null: that is a FIFO, for whoever writes to it. */
  readonly prompt: string | null;
  readonly settings?: object | undefined;
}

/** The files of one attempt at an execution. */
export interface AttemptFiles {
  readonly folder: string;
  readonly stdin: string;
  readonly stdout: string;
  readonly stderr: string;
  readonly settings: string | null;
}

/**
 * The folder a sidecar keeps its state in, and the next one finds it in.
 *
 * ```
 *   DIR/token                      the control token, when nobody gave one
 *   DIR/lock                       pid and start time of the owner, locked while that lives
 *   DIR/journal                    what is known of executions
 *   DIR/executions/ID/1/stdout     the logs of an execution's first attempt
 *   DIR/removed/                   what is being removed
 *   DIR/gateway-port               the port that runs call
 *   DIR/circuit                    the state of the circuit breaker
 *   DIR/bodies/                    where requests are kept that are too large for memory; they have no names
 * ```
 */
export class StateFolder {
  readonly path: string;
  readonly #runUser: RunUser | null;
  readonly #lock: Lock;

  /** @throws Error When the folder cannot be made, or belongs to a sidecar that is alive. */
  constructor(path: string, runUser: RunUser | null) {
    this.#runUser = runUser;
    mkdirSync(path, { recursive: true, mode: PRIVATE_FOLDER });
    chmodSync(path, PRIVATE_FOLDER);
    // The kernel tells whose files a process has open by their real names.
    this.path = realpathSync(path);
    this.#lock = lockFile(join(path, 'lock'));
    for (const folder of [this.#asidePath, this.bodiesPath]) removeIfPossible(folder);
    for (const folder of [this.#executionsPath, this.#asidePath, this.bodiesPath]) {
      mkdirSync(folder, { recursive: true, mode: PRIVATE_FOLDER });
    }
  }

  get journalPath(): string {
    return join(this.path, 'journal');
  }

  /** Bytes that can still be written. */
  get freeBytes(): number {
    const { bavail, bsize } = statfsSync(this.path);
    return bavail * bsize;
  }

  get tokenPath(): string {
    return join(this.path, 'token');
  }

  get bodiesPath(): string {
    return join(this.path, 'bodies');
  }

  /** Of the last time; null: there was none. */
  get gatewayPort(): number | null {
    try {
      const port = Number(readFileSync(this.#gatewayPortPath, 'utf8'));
      return Number.isInteger(port) && port > 0 && port < 65_536 ? port : null;
    } catch {
      return null;
    }
  }

  keepGatewayPort(port: number): void {
    if (port !== this.gatewayPort) replaceText(this.#gatewayPortPath, `${port}\n`);
  }

  /** Of the last time; null: there is none. */
  readCircuit(): string | null {
    try {
      return readFileSync(this.#circuitPath, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
      throw error;
    }
  }

  /** Whole or not at all, whenever the machine stops. */
  keepCircuit(text: string): void {
    replaceText(this.#circuitPath, text);
  }

  get #circuitPath(): string {
    return join(this.path, 'circuit');
  }

  get #gatewayPortPath(): string {
    return join(this.path, 'gateway-port');
  }

  /** Makes the control token unless there is one. */
  ensureToken(): void {
    if (existsSync(this.tokenPath)) return;
    writeFileSync(this.tokenPath, `${randomBytes(TOKEN_BYTES).toString('base64url')}\n`, { mode: PRIVATE_FILE });
  }

  /**
   * Makes the folder and the files of an attempt. What lies there already was put there by somebody else, a run of the
   * same user for one: it is removed, never opened, since a FIFO would block and a link lead elsewhere.
   */
  async createAttempt(attempt: AttemptName, { prompt, settings }: AttemptInput): Promise<AttemptFiles> {
    const path = this.#executionPath(attempt.executionId);
    const folder = this.#attemptPath(attempt);
    await this.#remove(attempt.number === 1 ? path : folder);
    await mkdir(path, { recursive: attempt.number > 1, mode: PRIVATE_FOLDER });
    await mkdir(folder, { mode: PRIVATE_FOLDER });
    const files = filesIn(folder, settings === undefined ? null : await this.#writeSettings(folder, settings));
    if (prompt === null) await makeFifo(files.stdin);
    else await writeFile(files.stdin, prompt, NEW_PRIVATE_FILE);
    await writeFile(files.stdout, '', NEW_PRIVATE_FILE);
    await writeFile(files.stderr, '', NEW_PRIVATE_FILE);
    return files;
  }

  /**
   * The files of an attempt that another sidecar has made. Logs that are not there any more, or are something else, are made
   * anew, empty: whatever the run has done to them, it has to be ended.
   */
  reopenAttempt(attempt: AttemptName, settings: string | null): AttemptFiles {
    const files = filesIn(this.#attemptPath(attempt), settings);
    mkdirSync(files.folder, { recursive: true, mode: PRIVATE_FOLDER });
    for (const log of [files.stdout, files.stderr]) {
      const stat = lstatSync(log, { throwIfNoEntry: false });
      if (stat?.isFile() === true) continue;
      if (stat !== undefined) renameSync(log, join(this.#asidePath, randomUUID()));
      writeFileSync(log, '', NEW_PRIVATE_FILE);
    }
    return files;
  }

  /** The logs of an attempt, whether or not they are still there. */
  logsOf(attempt: AttemptName): Pick<AttemptFiles, 'stdout' | 'stderr'> {
    return filesIn(this.#attemptPath(attempt), null);
  }

  hasLogs(executionId: string): boolean {
    return existsSync(this.#executionPath(executionId));
  }

  /** Every execution that has a folder. */
  executionIds(): string[] {
    return readdirSync(this.#executionsPath);
  }

  /** The folder within which every process of a run has its streams when it is started. */
  get executionsPath(): string {
    return this.#executionsPath;
  }

  /** Streams are handed over open, but settings are read by name: another user gets them outside the closed folder. */
  async #writeSettings(folder: string, settings: object): Promise<string> {
    const user = this.#runUser;
    const path = join(user === null ? folder : await mkdtemp(join(tmpdir(), this.#handedPrefix)), 'settings.json');
    await writeFile(path, JSON.stringify(settings), NEW_PRIVATE_FILE);
    if (user !== null) {
      await chown(path, user.uid, user.gid);
      await chown(dirname(path), user.uid, user.gid);
    }
    return path;
  }

  /** Removes what was written outside the state folder for an attempt that has ended. */
  async removeHanded(files: AttemptFiles): Promise<void> {
    if (this.#runUser !== null && files.settings !== null) {
      await rm(dirname(files.settings), { recursive: true, force: true });
    }
  }

  /** Removes what was written outside the state folder and is not in use; whoever was killed may have left some. */
  async removeStrayHanded(inUse: ReadonlySet<string>): Promise<void> {
    if (this.#runUser === null) return;
    const folders = readdirSync(tmpdir()).filter((name) => name.startsWith(this.#handedPrefix));
    const stray = folders.map((name) => join(tmpdir(), name)).filter((path) => !inUse.has(path));
    await Promise.all(stray.map((path) => rm(path, { recursive: true, force: true })));
  }

  async removeExecution(executionId: string): Promise<void> {
    await this.#remove(this.#executionPath(executionId));
  }

  /** Out of the way at once, so that what takes its place is not removed with it. */
  async #remove(path: string): Promise<void> {
    const aside = join(this.#asidePath, randomUUID());
    try {
      renameSync(path, aside);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
      throw error;
    }
    await rm(aside, { recursive: true, force: true });
  }

  unlock(): void {
    this.#lock.release();
  }

  /** Of folders for another user, which cannot be within this one; it says whose they are. */
  get #handedPrefix(): string {
    return `outrigger-${createHash('sha256').update(this.path).digest('hex').slice(0, 12)}-`;
  }

  get #executionsPath(): string {
    return join(this.path, 'executions');
  }

  get #asidePath(): string {
    return join(this.path, 'removed');
  }

  #executionPath(executionId: string): string {
    return join(this.#executionsPath, executionId);
  }

  #attemptPath({ executionId, number }: AttemptName): string {
    return join(this.#executionPath(executionId), String(number));
  }
}

/** What cannot be removed now is in nobody's way. */
function removeIfPossible(path: string): void {
  try {
    rmSync(path, { recursive: true, force: true });
  } catch {
    return;
  }
}

/** Whole or not at all, whoever is killed and whenever the machine stops. */
function replaceText(path: string, text: string): void {
  const draft = `${path}.new`;
  writeFileSync(draft, text, { mode: PRIVATE_FILE, flush: true });
  renameSync(draft, path);
}

function filesIn(folder: string, settings: string | null): AttemptFiles {
  return {
    folder,
    stdin: join(folder, 'stdin'),
    stdout: join(folder, 'stdout'),
    stderr: join(folder, 'stderr'),
    settings,
  };
}
