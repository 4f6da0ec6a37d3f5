import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Mark, type Marker } from './marker.js';
import { readProcess } from './proc.js';

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
  let count = 0;
  const create = () => {
    const folder = join(own, `outrigger-${process.pid}-${count++}`);
    mkdirSync(folder);
    return folder;
  };
  return canUse(create) ? { name: 'cgroup', isComplete: true, mark: () => markWith(create()) } : null;
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

function markWith(folder: string): Mark {
  return {
    prefix: [...ENTER, join(folder, 'cgroup.procs')],
    onLaunched: () => undefined,
    members: () =>
      withNested(folder).flatMap((group) => {
        const pids = readFileSync(join(group, 'cgroup.procs'), 'utf8').split('\n').filter(Boolean).map(Number);
        return pids.flatMap((pid) => readProcess(pid) ?? []);
      }),
    possibleEscapees: () => [],
    killAll: () => writeFileSync(join(folder, 'cgroup.kill'), '1'),
    release: () => removeGroups(folder, REMOVE_TRIES),
  };
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

/** A run can make groups within its own; they come after the one they are in. */
function withNested(folder: string): string[] {
  const nested = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return [folder, ...nested.flatMap((entry) => withNested(join(folder, entry.name)))];
}
