import { readFileSync } from 'node:fs';

/** Where the kernel counts what it killed for want of memory: the nearest count that is there is the best evidence. */
const SOURCES: readonly { readonly path: () => string | null; readonly pattern: RegExp }[] = [
  { path: () => cgroupFile(/^0::(.*)$/m, '/sys/fs/cgroup', 'memory.events'), pattern: /^oom_kill (\d+)$/m },
  {
    path: () => cgroupFile(/^\d+:(?:[^:]*,)?memory(?:,[^:]*)?:(.*)$/m, '/sys/fs/cgroup/memory', 'memory.oom_control'),
    pattern: /^oom_kill (\d+)$/m,
  },
  { path: () => '/proc/vmstat', pattern: /^oom_kill (\d+)$/m },
];

/** How many processes the kernel has killed so far for want of memory, around here; null where it does not say. */
export function oomKills(): number | null {
  for (const source of SOURCES) {
    const count = read(source.path(), source.pattern);
    if (count !== null) return count;
  }
  return null;
}

function read(path: string | null, pattern: RegExp): number | null {
  if (path === null) return null;
  try {
    const match = pattern.exec(readFileSync(path, 'utf8'));
    return match === null ? null : Number(match[1]);
  } catch {
    return null;
  }
}

/** Inside a container the own group is often shown as the root of the hierarchy, whatever its name outside. */
function cgroupFile(pattern: RegExp, mount: string, file: string): string | null {
  try {
    const group = pattern.exec(readFileSync('/proc/self/cgroup', 'utf8'))?.[1];
    return group === undefined ? null : `${mount}${group === '/' ? '' : group}/${file}`;
  } catch {
    return null;
  }
}
