import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { Log } from './log.js';

function logOf(content: string): Log {
  const folder = mkdtempSync(join(tmpdir(), 'outrigger-log-'));
  const path = join(folder, 'stderr');
  writeFileSync(path, content);
  const log = new Log(path);
  log.open();
  onTestFinished(() => {
    log.release();
    rmSync(folder, { recursive: true });
  });
  return log;
}

it.each([
  ['all of a log that is short enough', 'one\ntwo\n', 8, 'one\ntwo\n'],
  ['all of one that is a single line', 'onetwo', 6, 'onetwo'],
  ['all of an empty one', '', 8, ''],
  ['a last line without an end', 'one\ntwo', 5, 'two'],
  ['every line from the first that is whole', 'one\ntwo\nthree\n', 11, 'two\nthree\n'],
  ['a line that just fits', 'one\ntwo\n', 4, 'two\n'],
  ['nothing of a line that just does not fit', 'one\ntwo\n', 3, ''],
  ['nothing of a line that is too long', 'onetwo', 5, ''],
  ['no half of a character', 'é€😀\nß\n', 7, 'ß\n'],
])('the tail of a log is %s', (_what, content, bytesMax, tail) => {
  expect(logOf(content).tail(bytesMax)).toBe(tail);
});
