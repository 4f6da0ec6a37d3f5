import { appendFileSync, existsSync, fstatSync, watch } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { assistantEvent, initEvent, resultEvent, type Session } from './events.js';
import { fill } from './fill.js';
import { print, writeAll } from './output.js';
import { request } from './request.js';
import { spawnChild } from './spawn.js';
import { type AssistantStep, type FakeStep, type ResultStep, type SignalName } from './steps.js';

/** Does the steps, one after the other. */
export async function run(steps: readonly FakeStep[], session: Session): Promise<void> {
  for (const step of steps) if (!(await runStep(step, session))) return;
}

/** Returns false where that was the end of the turn. */
async function runStep(step: FakeStep, session: Session): Promise<boolean> {
  switch (step.do) {
    case 'event':
      print(step.event);
      break;
    case 'init':
      print(initEvent(session, step));
      break;
    case 'assistant':
      printAssistant(step, session);
      break;
    case 'result':
      printResult(step, session);
      break;
    case 'request':
      if (await request(session, step)) break;
      if (!session.isInteractive) process.exit(1);
      return false;
    case 'write':
      writeAll(
        step.to ?? 'stdout',
        Buffer.from(step.base64 ?? step.text ?? '', step.base64 === undefined ? 'utf8' : 'base64'),
      );
      break;
    case 'fill':
      await fill(step);
      break;
    case 'spawn':
      await spawnChild(step);
      break;
    case 'printEnv':
      print(describeSelf());
      break;
    case 'sleep':
      await delay(step.ms);
      break;
    case 'hang':
      await hangForEver();
      break;
    case 'ignoreSignals':
      for (const signal of step.signals) listen(signal, () => undefined);
      break;
    case 'onSignal':
      listen(step.signal, () => void run(step.steps, session));
      break;
    case 'waitForFile':
      await waitForFile(step.path);
      break;
    case 'touch':
      appendFileSync(step.path, step.text ?? '');
      break;
    case 'exit':
      process.exit(step.code);
      break;
    case 'kill':
      process.kill(process.pid, step.signal);
  }
  return true;
}

function printAssistant(step: AssistantStep, session: Session): void {
  session.lastText = step.text;
  print(assistantEvent(session, step));
}

function printResult(step: ResultStep, session: Session): void {
  session.hasFailed = step.is_error ?? step.errors !== undefined;
  print(resultEvent(session, { ...step, is_error: session.hasFailed }));
}

function listen(signal: SignalName, listener: () => void): void {
  process.removeAllListeners(signal);
  process.on(signal as NodeJS.Signals, listener);
}

// A promise alone does not keep the process up.
function hangForEver(): Promise<never> {
  setInterval(() => undefined, 2 ** 30);
  return new Promise<never>(() => undefined);
}

async function waitForFile(path: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const watcher = watch(dirname(path), check).on('error', reject);
    function check(): void {
      if (!existsSync(path)) return;
      watcher.close();
      resolve();
    }
    // It may have come before the watch began.
    check();
  });
}

function describeSelf(): object {
  const [stdin, stdout, stderr] = [0, 1, 2].map(kindOfFd);
  const { pid, ppid, argv, env } = process;
  return {
    type: 'system',
    subtype: 'fake_env',
    pid,
    ppid,
    argv: argv.slice(2),
    cwd: process.cwd(),
    env: { ...env },
    stdio: { stdin, stdout, stderr },
  };
}

function kindOfFd(fd: number): string {
  const stat = fstatSync(fd);
  if (stat.isFile()) return 'file';
  if (stat.isFIFO()) return 'pipe';
  if (stat.isSocket()) return 'socket';
  return stat.isCharacterDevice() ? 'device' : 'other';
}
