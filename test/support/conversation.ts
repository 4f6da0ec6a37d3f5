import { type DispatchRequest, type Result, type WireErrorCode } from '@outrigger/protocol';
import { fakeScript, type FakeStep } from '@outrigger/sdk/testing';
import { type RawClient } from './raw-client.js';

/** A turn of the fake CLI that ends well, after doing something. */
export const turn = (text: string, ...before: FakeStep[]): FakeStep[] => [
  { do: 'init' },
  ...before,
  { do: 'assistant', text },
  { do: 'result' },
];

const textOf = (said: string | FakeStep[]) => (typeof said === 'string' ? said : fakeScript(said));

/** One interactive execution, as seen on one connection. */
export function conversation(client: RawClient, executionId: string) {
  const sent = (messageId: string, said: string | FakeStep[]) => ({ executionId, messageId, text: textOf(said) });
  return {
    dispatch: (prompt: FakeStep[], options: Partial<DispatchRequest> = {}) =>
      client.dispatch(executionId, prompt, { interactive: true, ...options }),
    send: (messageId: string, said: string | FakeStep[]): Promise<Result<'send_message'>> =>
      client.request('send_message', sent(messageId, said)),
    refusedSend: async (messageId: string, said: string | FakeStep[]): Promise<WireErrorCode> =>
      (await client.refused('send_message', sent(messageId, said))).code,
    end: () => client.request('end_input', { executionId }),
    outcome: () => client.outcome(executionId),
    /** The texts of results, in the order in which they were printed, by now and from now on. */
    follow: () => follow(client, executionId),
  };
}

let subscriptions = 0;

async function follow(client: RawClient, executionId: string) {
  const subscription = `follow-${++subscriptions}`;
  const results: string[] = [];
  const checks = new Set<() => void>();
  let part = '';
  client.onFrame((frame) => {
    if (frame.type !== 'output' || frame.subscription !== subscription) return;
    const lines = [...frame.lines];
    lines[0] = part + (lines[0] ?? '');
    part = frame.continues === true ? (lines.pop() ?? '') : '';
    results.push(...lines.flatMap((line) => resultIn(line)));
    client.send({ type: 'credit', id: 'more', subscription, bytes: frame.end - frame.start });
    checks.forEach((check) => check());
  });
  const from = { attempt: 1, stdout: 0, stderr: 0 };
  await client.request('subscribe', { subscription, executionId, from, creditBytes: 1_000_000 });
  return {
    results,
    /** Resolves when as many turns have ended. */
    ended: (count: number): Promise<void> =>
      new Promise((resolve) => {
        const check = () => {
          if (results.length < count) return;
          checks.delete(check);
          resolve();
        };
        checks.add(check);
        check();
      }),
  };
}

function resultIn(line: string): string[] {
  if (!line.startsWith('{')) return [];
  const { type, result } = JSON.parse(line) as { type?: string; result?: string };
  return type === 'result' ? [result ?? ''] : [];
}
