import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/**
 * Looks at processes from outside, by nothing the supervisor uses: whatever a run starts, however it hides, has the
 * run's working directory.
 */
export function processesIn(folder: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => folderOf(pid) === folder && !isZombie(pid));
}

/** Children of a process that have ended and were not collected. */
export function zombiesOf(parent: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => isZombie(pid) && fieldsOf(pid)?.[1] === String(parent));
}

/** How many files a process has open. */
export function openFiles(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

/** The TCP ports a process listens on. */
export function listeningPorts(pid: number): number[] {
  const inodes = new Set(
    readdirSync(`/proc/${pid}/fd`).map((fd) => /^socket:\[(\d+)\]$/.exec(linkOf(`/proc/${pid}/fd/${fd}`) ?? '')?.[1]),
  );
  return ['tcp', 'tcp6']
    .flatMap((name) => readFileSync(`/proc/${pid}/net/${name}`, 'utf8').split('\n').slice(1))
    .map((line) => line.trim().split(/\s+/))
    .filter(([, , , state, , , , , , inode]) => state === TCP_LISTEN && inodes.has(inode))
    .map(([, address = '']) => Number.parseInt(address.slice(address.indexOf(':') + 1), 16));
}

/** See proc(5), `/proc/net/tcp`. */
const TCP_LISTEN = '0A';

function folderOf(pid: number): string | null {
  return linkOf(`/proc/${pid}/cwd`);
}

function linkOf(path: string): string | null {
  try {
    return readlinkSync(path);
  } catch {
    return null;
  }
}

function isZombie(pid: number): boolean {
  return fieldsOf(pid)?.[0] === 'Z';
}

/** From the state on, which is field 3 of proc(5)'s `stat`. */
function fieldsOf(pid: number): string[] | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch {
    return null;
  }
}
