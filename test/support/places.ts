import { lstatSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type Place } from './canary.js';

const FILE_BYTES_MAX = 64 * 1024 * 1024;

/** What a process has open, files without a name included. */
export function filesOpenIn(pid: number): Place[] {
  return entriesOf(`/proc/${pid}/fd`).flatMap((fd) => fileAt(`/proc/${pid}/fd/${fd}`));
}

/** Arguments and environment of every process of the machine. */
export function processTexts(): Place[] {
  return entriesOf('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => ['cmdline', 'environ'].flatMap((what) => fileAt(`/proc/${pid}/${what}`)));
}

/** Every file that lies in a folder, however deep, below what was not there before. */
export function newcomersIn(folder: string): () => Place[] {
  const before = new Set(entriesOf(folder));
  return () =>
    entriesOf(folder)
      .filter((name) => !before.has(name))
      .flatMap((name) => filesUnder(join(folder, name)));
}

function filesUnder(path: string): Place[] {
  const names = entriesOf(path);
  return names.length === 0 ? fileAt(path) : names.flatMap((name) => filesUnder(join(path, name)));
}

/** Nothing where it is no file, or gone meanwhile, or larger than anything of ours: others use the machine as well. */
function fileAt(path: string): Place[] {
  try {
    const stat = statSync(path);
    return stat.isFile() && stat.size <= FILE_BYTES_MAX ? [{ where: path, content: readFileSync(path) }] : [];
  } catch {
    return [];
  }
}

/** Empty where it is no folder, a link to one included, or gone meanwhile. */
function entriesOf(path: string): string[] {
  try {
    return lstatSync(path).isDirectory() ? readdirSync(path) : [];
  } catch {
    return [];
  }
}
