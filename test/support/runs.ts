import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type FakeStep } from '@outrigger/sdk/testing';
import { onTestFinished } from 'vitest';
import { type RawClient } from './raw-client.js';

/** A folder that is gone when the test has ended. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'outrigger-run-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return folder;
}

/** A run that says it goes on, and ends well once `path` exists. */
export const until = (path: string): FakeStep[] => [{ do: 'init' }, { do: 'waitForFile', path }, { do: 'result' }];

/** A run that says it goes on, and never ends by itself. */
export const hanging: FakeStep[] = [{ do: 'init' }, { do: 'hang' }];

/** The process was started. */
export async function isRunning(client: RawClient, executionId: string): Promise<void> {
  await client.waitFor('state', (frame) => frame.executionId === executionId && frame.state === 'running');
}

/** The run has printed its first line, so it is past everything it did before that. */
export async function hasPrinted(client: RawClient, executionId: string): Promise<void> {
  await client.request('subscribe', {
    subscription: `first-${executionId}`,
    executionId,
    from: { attempt: 1, stdout: 0, stderr: 0 },
    creditBytes: 1,
  });
  await client.waitFor('output', (frame) => frame.executionId === executionId);
}
