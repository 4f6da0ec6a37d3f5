import { closeSync, rmSync } from 'node:fs';
import { type Disk } from './disk.js';

/**
 * Puts a file with that content in the place of another in one step: who is killed leaves the old one or the new one.
 * The content is on the disk then; the name is once the folder is synced.
 *
 * @returns The new file, open for appending.
 */
export function replaceFile(disk: Disk, path: string, bytes: Uint8Array): number {
  const fresh = freshPath(path);
  removeFresh(path);
  const fd = disk.create(fresh);
  try {
    writeAll(disk, fd, bytes);
    disk.syncNow(fd);
    disk.rename(fresh, path);
    return fd;
  } catch (error) {
    closeSync(fd);
    // On a full disk its room is wanted back.
    removeFresh(path);
    throw error;
  }
}

/** Removes what somebody left who was killed while making a file anew. */
export function removeFresh(path: string): void {
  rmSync(freshPath(path), { force: true });
}

export function writeAll(disk: Disk, fd: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length;) at += disk.write(fd, bytes.subarray(at));
}

function freshPath(path: string): string {
  return `${path}.new`;
}
