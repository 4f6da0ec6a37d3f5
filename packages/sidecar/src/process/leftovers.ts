import { readlinkSync } from 'node:fs';
import { type ProcessName } from '../core/sweep.js';
import { killTree } from './kill.js';
import { descentMarker } from './tree/lineage.js';
import { listPids, readProcess } from './tree/proc.js';
import { ProcessTree } from './tree/tree.js';

const STREAMS = [0, 1, 2];

/**
 * Ends the processes of runs that nobody knows of any more: each run is started with its streams in its own folder.
 *
 * @param folder With a folder for each execution.
 * @param isKnown Whether an execution goes on, and so its processes are no leftovers.
 * @returns The ids of executions of which something was left.
 */
export async function endLeftovers(folder: string, isKnown: (executionId: string) => boolean): Promise<string[]> {
  const found = new Map<string, ProcessName[]>();
  for (const pid of listPids()) {
    const id = executionOf(pid, folder);
    const process = id === null || isKnown(id) ? null : readProcess(pid);
    if (id !== null && process !== null) found.set(id, [...(found.get(id) ?? []), process]);
  }
  await Promise.all([...found.values()].flat().map((leader) => endTree(leader)));
  return [...found.keys()];
}

async function endTree(leader: ProcessName): Promise<void> {
  const markers = [descentMarker()].filter((marker) => marker !== null);
  const tree = ProcessTree.restore(markers, { lineage: '' }, leader);
  await killTree(tree, { ask: null, graceMs: 0, exited: Promise.resolve() });
}

function executionOf(pid: number, folder: string): string | null {
  const stream = STREAMS.map((fd) => linkOf(`/proc/${pid}/fd/${fd}`)).find((path) => path.startsWith(`${folder}/`));
  return stream?.slice(folder.length + 1).split('/')[0] ?? null;
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}
