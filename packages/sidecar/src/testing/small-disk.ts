/** A disk that is full, for tests. */
import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmdirSync, statSync, truncateSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished } from 'vitest';

/** A disk with room for very little; null and why where this machine does not let one make it. */
export function mountSmallDisk(kib = 512): { folder: string } | { folder: null; why: string } {
  const folder = mkdtempSync(join(tmpdir(), 'outrigger-disk-'));
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${kib}k`, 'tmpfs', folder], { encoding: 'utf8' });
  onTestFinished(() => {
    if (mounted.status === 0) spawnSync('umount', ['--lazy', folder]);
    rmdirSync(folder);
  });
  return mounted.status === 0
    ? { folder }
    : { folder: null, why: `cannot mount a small disk: ${mounted.stderr.trim()}` };
}

/** Takes all the room there is, but for so many bytes. */
export function fillDisk(path: string, leaveBytes: number): void {
  const file = openSync(path, 'w');
  const block = Buffer.alloc(4096);
  try {
    for (;;) writeSync(file, block);
  } catch (error) {
    expect(error).toMatchObject({ code: 'ENOSPC' });
  } finally {
    closeSync(file);
  }
  const { size } = statSync(path);
  truncateSync(path, size - leaveBytes);
}
