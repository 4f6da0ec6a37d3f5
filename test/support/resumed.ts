import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type DispatchRequest, type SidecarFrame } from '@outrigger/protocol';
import { type FakeStep, fakeScript } from '@outrigger/sdk/testing';
import { RawClient } from './raw-client.js';
import { SECOND, temporaryFolder } from './runs.js';
import { type SidecarSetup, startSidecar } from './sidecar.js';

/** A run that ends well. */
export const GOOD: FakeStep[] = [{ do: 'init' }, { do: 'assistant', text: 'Done.' }, { do: 'result' }];

/** A sidecar and a way to start runs that are resumed, each start of which leaves a line in `starts`. */
export async function resumable(setup: SidecarSetup = {}) {
  const sidecar = await startSidecar(setup);
  const client = await RawClient.connect(sidecar);
  const folder = temporaryFolder();
  const starts = join(folder, 'starts');
  const counted = (steps: FakeStep[]): FakeStep[] => [{ do: 'touch', path: starts, text: 'started\n' }, ...steps];
  return {
    sidecar,
    client,
    folder,
    starts: () => (existsSync(starts) ? readFileSync(starts, 'utf8').trim().split('\n').length : 0),
    dispatch: (id: string, steps: FakeStep[], next: FakeStep[], options: Partial<DispatchRequest> = {}) =>
      client.dispatch(id, counted(steps), {
        cwd: folder,
        onCredentialFailure: 'resume',
        resumePrompt: fakeScript(counted(next)),
        ...options,
      }),
    swap: (credential: object = SECOND) => client.request('swap_credential', { credential }),
    states: (id: string) =>
      client.frames
        .filter((frame): frame is SidecarFrame<'state'> => frame.type === 'state' && frame.executionId === id)
        .map(({ state, attempt }) => `${state} ${attempt}`),
    [Symbol.asyncDispose]: async () => {
      await client[Symbol.asyncDispose]();
      await sidecar[Symbol.asyncDispose]();
    },
  };
}
