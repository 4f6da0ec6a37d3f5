import { randomBytes, randomUUID } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { chown, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type RunUser } from '../options/user.js';

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
  readonly prompt: string;
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
 * The folder a sidecar keeps its state in. What a sidecar knows about its executions lives and ends with its process,
 * so each start begins a new journal and clears the logs of the last one.
 *
 * ```
 *   DIR/token                      the control token, when nobody gave one
 *   DIR/lock                       pid and start time of the owner
 *   DIR/executions/ID/1/stdout     the logs of an execution's first attempt
 *   DIR/removed/                   what is being removed
 *   DIR/gateway-port               the port that runs call
 *   DIR/circuit                    the state of the circuit breaker
 *   DIR/bodies/                    where requests are kept that are too large for memory; they have no names
 * ```
 */
export class StateFolder {
  readonly path: string;
  readonly journalId = randomUUID();
  readonly #runUser: RunUser | null;

  /** @throws Error When the folder cannot be made, or belongs to a sidecar that is alive. */
  constructor(path: string, runUser: RunUser | null) {
    this.path = path;
    this.#runUser = runUser;
    mkdirSync(path, { recursive: true, mode: PRIVATE_FOLDER });
    chmodSync(path, PRIVATE_FOLDER);
    this.#lock();
    for (const folder of [this.#executionsPath, this.#asidePath, this.bodiesPath]) {
      rmSync(folder, { recursive: true, force: true });
      mkdirSync(folder, { mode: PRIVATE_FOLDER });
    }
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
    writeFileSync(this.#gatewayPortPath, `${port}\n`, { mode: PRIVATE_FILE });
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
    const draft = `${this.#circuitPath}.new`;
    writeFileSync(draft, text, { mode: PRIVATE_FILE, flush: true });
    renameSync(draft, this.#circuitPath);
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
    const folder = join(path, String(attempt.number));
    await this.#remove(attempt.number === 1 ? path : folder);
    await mkdir(path, { recursive: attempt.number > 1, mode: PRIVATE_FOLDER });
    await mkdir(folder, { mode: PRIVATE_FOLDER });
    const files: AttemptFiles = {
      folder,
      stdin: join(folder, 'stdin'),
      stdout: join(folder, 'stdout'),
      stderr: join(folder, 'stderr'),
      settings: settings === undefined ? null : await this.#writeSettings(folder, settings),
    };
    await writeFile(files.stdin, prompt, NEW_PRIVATE_FILE);
    await writeFile(files.stdout, '', NEW_PRIVATE_FILE);
    await writeFile(files.stderr, '', NEW_PRIVATE_FILE);
    return files;
  }

  /** Streams are handed over open, but settings are read by name: another user gets them outside the closed folder. */
  async #writeSettings(folder: string, settings: object): Promise<string> {
    const user = this.#runUser;
    const path = join(user === null ? folder : await mkdtemp(join(tmpdir(), 'outrigger-')), 'settings.json');
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
    rmSync(this.#lockPath, { force: true });
  }

  get #lockPath(): string {
    return join(this.path, 'lock');
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

  /** Two sidecars on one folder would clear each other's logs. */
  #lock(): void {
    const me = ownerOf(process.pid);
    try {
      writeFileSync(this.#lockPath, me, { flag: 'wx', mode: PRIVATE_FILE });
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const owner = readFileSync(this.#lockPath, 'utf8');
    const pid = Number.parseInt(owner, 10);
    if (owner !== me && ownerOf(pid) === owner) {
      throw new Error(`the state folder ${this.path} belongs to the sidecar with pid ${pid}, which is running`);
    }
    writeFileSync(this.#lockPath, me, { mode: PRIVATE_FILE });
  }
}

/** A pid is a name only together with its start time, field 22 of proc(5)'s `stat`, counted after the last ")". */
function ownerOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return `${pid} ${stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? ''}\n`;
  } catch {
    return `${pid} \n`;
  }
}
