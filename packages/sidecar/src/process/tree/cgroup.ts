import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, rmdirSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { type Mark, type Marker } from './marker.js';
import { readProcess, readThreadGroup } from './proc.js';

const REMOVE_TRIES = 20;
const REMOVE_INTERVAL_MS = 250;

/** Enters the group and becomes the command. The only shell there is; nothing of a dispatch is ever read by it. */
const ENTER = ['/bin/sh', '-c', '{ echo 0 > "$0"; } 2>/dev/null; exec "$@"'] as const;

/**
 * Marks an execution by a cgroup of its own (cgroups(7), version 2), which no process leaves without write access to
 * the hierarchy and which the kernel can kill as a whole.
 *
 * @returns null where there is no such hierarchy, or it cannot be written to.
 */
export function cgroupMarker(): Marker | null {
  const own = ownCgroup();
  if (own === null) return null;
  const create = () => {
    const folder = join(own, groupName());
    mkdirSync(folder);
    return folder;
  };
  if (!canUse(create)) return null;
  const inUse = new Set<string>();
  return {
    name: 'cgroup',
    isComplete: true,
    mark: () => markWith(create(), inUse),
    // One that is not there any more holds nobody.
    restore: (folder) => (isRunGroup(folder) ? markWith(folder, inUse) : null),
    removeLeftovers: () => removeLeftovers(own, inUse),
  };
}

function isRunGroup(folder: string): boolean {
  return /^outrigger-\d+-\d+-\d+-/.test(basename(folder));
}

/** Says whose it is, by pid, start time and the namespace they hold in; what is left behind by the dead has no other. */
function groupName(): string {
  const { pid, startTime } = readProcess(process.pid) ?? { pid: 0, startTime: 0 };
  return `outrigger-${pidNamespace()}-${pid}-${startTime}-${randomUUID()}`;
}

/**
 * Removes the empty groups of sidecars that were killed. What lives in others goes on: those are left for the start that
 * finds them empty.
 */
function removeLeftovers(own: string, inUse: ReadonlySet<string>): void {
  for (const name of readdirSync(own)) {
    // Restored, it has the name of a sidecar that is dead.
    if (inUse.has(join(own, name))) continue;
    const [, namespace, pid, startTime] = /^outrigger-(\d+)-(\d+)-(\d+)-/.exec(name) ?? [];
    // In another namespace the owner cannot be looked up, and may be about to put its first process into the group.
    if (namespace !== pidNamespace()) continue;
    const isOwned = readProcess(Number(pid))?.startTime === startTime;
    if (!isOwned && isEmpty(join(own, name))) removeGroups(join(own, name), 0);
  }
}

function pidNamespace(): string {
  return /\d+/.exec(readlinkSync('/proc/self/ns/pid'))?.[0] ?? '';
}

/** Whether no process is in a group or in one nested in it. */
function isEmpty(folder: string): boolean {
  try {
    return /^populated 0$/m.test(readFileSync(join(folder, 'cgroup.events'), 'utf8'));
  } catch {
    return false;
  }
}

function ownCgroup(): string | null {
  try {
    const path = /^0::(.*)$/m.exec(readFileSync('/proc/self/cgroup', 'utf8'))?.[1];
    const mount = readFileSync('/proc/self/mountinfo', 'utf8')
      .split('\n')
      .find((line) => line.includes(' - cgroup2 '))
      ?.split(' ')[4];
    return path === undefined || mount === undefined ? null : join(mount, path);
  } catch {
    return null;
  }
}

function canUse(create: () => string): boolean {
  try {
    const folder = create();
    const hasKill = existsSync(join(folder, 'cgroup.kill'));
    rmdirSync(folder);
    return hasKill;
  } catch {
    return false;
  }
}

function markWith(folder: string, inUse: Set<string>): Mark {
  inUse.add(folder);
  return {
    state: folder,
    prefix: [...ENTER, join(folder, 'cgroup.procs')],
    onLaunched: () => undefined,
    members: (table) => withNested(folder).flatMap((group) => pidsIn(group).flatMap((pid) => table.find(pid) ?? [])),
    possibleEscapees: () => [],
    killAll: () => killGroup(folder),
    release: () => {
      inUse.delete(folder);
      removeGroups(folder, REMOVE_TRIES);
    },
  };
}

function pidsIn(group: string): number[] {
  const read = (file: string) => readFileSync(join(group, file), 'utf8').split('\n').filter(Boolean).map(Number);
  try {
    return read('cgroup.procs');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (isGone(error)) return [];
    // A run can make its group a threaded one, whose processes are only told by their threads.
    if (code === 'ENOTSUP')
      return [...new Set(read('cgroup.threads').flatMap((thread) => readThreadGroup(thread) ?? []))];
    throw error;
  }
}

/** At once, where that can be done; a threaded group cannot, and every process gets a signal of its own anyway. */
function killGroup(folder: string): void {
  try {
    writeFileSync(join(folder, 'cgroup.kill'), '1');
  } catch {
    return;
  }
}

/** The last thread of a dead process may still be giving its memory back: tried again, and never waited for. */
function removeGroups(folder: string, triesLeft: number): void {
  try {
    withNested(folder)
      .reverse()
      .forEach((group) => rmdirSync(group));
  } catch {
    if (triesLeft > 0) setTimeout(() => removeGroups(folder, triesLeft - 1), REMOVE_INTERVAL_MS).unref();
  }
}

/** A run can make groups within its own; they come after the one they are in. It can remove them, too. */
function withNested(folder: string): string[] {
  try {
    const nested = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    return [folder, ...nested.flatMap((entry) => withNested(join(folder, entry.name)))];
  } catch (error) {
    if (isGone(error)) return [];
    throw error;
  }
}

/** A group can only be removed when nobody is in it. */
function isGone(error: unknown): boolean {
  return ['ENOENT', 'ENODEV'].includes((error as NodeJS.ErrnoException).code ?? '');
}
