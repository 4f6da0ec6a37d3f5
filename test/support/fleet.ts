import { createFleet, type Agent, type Fleet, type FleetOptions } from '@outrigger/sdk';
import { type FakeStep, fakeScript } from '@outrigger/sdk/testing';
import { type TestSidecar } from './sidecar.js';

/** A fleet with one agent, behind a proxy if `url` says so. */
export async function connectFleet(
  sidecar: Pick<TestSidecar, 'url' | 'token'>,
  options: FleetOptions & { url?: string } = {},
): Promise<{ fleet: Fleet; agent: Agent } & AsyncDisposable> {
  const { url = sidecar.url, ...rest } = options;
  const fleet = createFleet(rest);
  const agent = await fleet.connect({ url, token: sidecar.token });
  return { fleet, agent, [Symbol.asyncDispose]: () => fleet.close() };
}

/** A prompt for the fake CLI. */
export const script = (...steps: FakeStep[]): string => fakeScript(steps);

/** Everything an iterator yields. */
export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

/** The next arguments of a fleet's event. */
export function nextEvent(
  fleet: Fleet,
  name: 'agentUnreachable' | 'agentBack' | 'outcomeHandlerFailed',
): Promise<unknown> {
  return new Promise((resolve) => fleet.once(name, resolve));
}

/** Something that is waited for until the test says so. */
export function signal(): { readonly given: Promise<void>; readonly give: () => void } {
  let give = (): void => undefined;
  const given = new Promise<void>((resolve) => (give = resolve));
  return { given, give: () => give() };
}
