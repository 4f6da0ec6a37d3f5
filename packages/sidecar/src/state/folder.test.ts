import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { StateFolder } from './folder.js';

const ATTEMPT = { executionId: 'run', number: 1 };

function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'outrigger-unit-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return folder;
}

describe('the folder of an execution', () => {
  it('that is removed takes nothing along that is made in its place meanwhile', async () => {
    const state = new StateFolder(temporaryFolder(), null);
    const { folder } = await state.createAttempt(ATTEMPT, { prompt: 'old' });
    for (let n = 0; n < 2000; n++) writeFileSync(join(folder, `file-${n}`), '');
    const removed = state.removeExecution('run');
    const files = await state.createAttempt(ATTEMPT, { prompt: 'new', settings: {} });
    await removed;
    expect(readFileSync(files.stdin, 'utf8')).toBe('new');
    expect([files.stdout, files.stderr, files.settings ?? ''].map((path) => existsSync(path))).toEqual([
      true,
      true,
      true,
    ]);
    expect(existsSync(join(folder, 'file-0'))).toBe(false);
  });

  it('is not what somebody has put in its place: links are not followed, FIFOs not waited for', async () => {
    const path = temporaryFolder();
    const state = new StateFolder(path, null);
    const target = join(path, 'target');
    writeFileSync(target, 'untouched');
    const folder = join(path, 'executions/run/1');
    mkdirSync(folder, { recursive: true });
    execFileSync('mkfifo', [join(folder, 'stdin')]);
    symlinkSync(target, join(folder, 'stdout'));
    const files = await state.createAttempt(ATTEMPT, { prompt: 'x' });
    expect([files.stdin, files.stdout, files.stderr].map((file) => statSync(file).isFile())).toEqual([
      true,
      true,
      true,
    ]);
    writeFileSync(files.stdout, 'output');
    expect(readFileSync(target, 'utf8')).toBe('untouched');
  });

  it('is not where a link of its name leads', async () => {
    const path = temporaryFolder();
    const state = new StateFolder(path, null);
    const elsewhere = temporaryFolder();
    symlinkSync(elsewhere, join(path, 'executions/run'));
    await state.createAttempt(ATTEMPT, { prompt: 'x' });
    expect(existsSync(join(elsewhere, '1'))).toBe(false);
  });

  it('keeps its earlier attempts when there is a further one', async () => {
    const state = new StateFolder(temporaryFolder(), null);
    const first = await state.createAttempt(ATTEMPT, { prompt: 'first' });
    const second = await state.createAttempt({ ...ATTEMPT, number: 2 }, { prompt: 'second' });
    expect([first, second].map(({ stdin }) => readFileSync(stdin, 'utf8'))).toEqual(['first', 'second']);
  });
});
