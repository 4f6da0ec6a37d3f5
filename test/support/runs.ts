import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type FakeStep } from '@outrigger/sdk/testing';
import { onTestFinished } from 'vitest';
import { type RawClient } from './raw-client.js';

/** A new folder, and how to remove it. */
export function makeFolder(): { path: string; remove: () => void } {
  const path = mkdtempSync(join(tmpdir(), 'outrigger-run-'));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

/** A folder that is gone when the test has ended. */
export function temporaryFolder(): string {
  const { path, remove } = makeFolder();
  onTestFinished(remove);
  return path;
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

/** A run whose credential is refused, as the CLI tells it when it has given up. */
export const refused: FakeStep[] = [
  { do: 'init' },
  { do: 'assistant', text: 'API Error: 401 Invalid bearer token', error: 'authentication_failed' },
  { do: 'result', is_error: true, api_error_status: 401 },
];

/** Another credential than the one a test sidecar starts with. */
export const SECOND = { id: 'second', kind: 'oauth', secret: 'sk-ant-oat01-second' } as const;

/** The run has no process any more and waits for another credential. */
export async function isWaiting(client: RawClient, executionId: string): Promise<void> {
  await client.waitFor('credential_needed', ({ executions }) => executions.includes(executionId));
}
