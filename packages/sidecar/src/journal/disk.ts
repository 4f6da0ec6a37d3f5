import { closeSync, constants, fdatasync, fsyncSync, ftruncateSync, openSync, renameSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { promisify } from 'node:util';

const PRIVATE_FILE = 0o600;
const { O_APPEND, O_CREAT, O_EXCL, O_NOFOLLOW, O_RDWR } = constants;

/** What a journal does to the disk, step by step: everything that can fail, and after which the machine can stop. */
export interface Disk {
  /** Opens a file that is there for appending. */
  open(path: string): number;
  /** Makes a file that is not there yet. */
  create(path: string): number;
  /** Returns the bytes written, perhaps not all. */
  write(fd: number, bytes: Uint8Array): number;
  truncate(fd: number, bytes: number): void;
  /** Resolves when the file's content is on the disk. */
  sync(fd: number): Promise<void>;
  syncNow(fd: number): void;
  rename(from: string, to: string): void;
  /** The name of a file is on the disk only when its folder is. */
  syncFolder(path: string): void;
}

export const DISK: Disk = {
  open: (path) => openSync(path, O_RDWR | O_APPEND | O_NOFOLLOW),
  create: (path) => openSync(path, O_RDWR | O_APPEND | O_CREAT | O_EXCL, PRIVATE_FILE),
  write: writeSync,
  truncate: ftruncateSync,
  sync: promisify(fdatasync),
  syncNow: fsyncSync,
  rename: renameSync,
  syncFolder: (path) => {
    const fd = openSync(dirname(path), 'r');
    try {
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  },
};
