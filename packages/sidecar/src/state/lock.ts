import { spawnSync } from 'node:child_process';
import { closeSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';

const PRIVATE_FILE = 0o600;
/** Of flock(1), when somebody else has the lock. */
const IS_LOCKED = 1;

/** A lock that ends with its process, however that ends. */
export interface Lock {
  release(): void;
}

/**
 * Locks a file for this process, and writes into it who has it.
 *
 * The lock is the kernel's (flock(2)): it holds between containers that share a volume, whose processes cannot see each
 * other, and leaves nothing behind that could be taken for a lock. It belongs to the open file, so flock(1) takes it for us
 * and ends. Where there is no flock(1) the lock is who is written down, while that process lives.
 *
 * @throws Error that says who has it
 */
export function lockFile(path: string): Lock {
  const fd = openSync(path, 'a+', PRIVATE_FILE);
  const { status } = spawnSync('flock', ['-x', '-n', '3'], { stdio: ['ignore', 'ignore', 'ignore', fd] });
  const owner = readFileSync(path, 'utf8');
  if (status === IS_LOCKED || (status === null && isAlive(owner))) {
    closeSync(fd);
    throw new Error(`it belongs to the sidecar with pid ${Number.parseInt(owner, 10)}, which is running`);
  }
  try {
    ftruncateSync(fd);
    writeSync(fd, ownerOf(process.pid));
  } catch (error) {
    // On a full disk nobody can be told who has it, and it is held all the same.
    if (status === null) throw error;
  }
  return { release: () => closeSync(fd) };
}

function isAlive(owner: string): boolean {
  const pid = Number.parseInt(owner, 10);
  return !Number.isNaN(pid) && owner !== ownerOf(process.pid) && ownerOf(pid) === owner;
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
