import { type Agent, createFleet, type Fleet, type FleetEvents, type FleetOptions, type Outcome } from '@outrigger/sdk';
import { redisStore } from '@outrigger/sdk/redis';
import { type StandInApi, type StandInApiOptions, startStandInApi } from '@outrigger/sdk/testing';
import { claudePath, type ClaudeVersion } from './claude.js';
import { startRedis, type TestRedis } from './redis.js';
import { makeFolder } from './runs.js';
import { type SidecarSetup, startSidecar, type TestSidecar } from './sidecar.js';

/** A host of a fleet, and everything it was told. */
export interface TestHost {
  readonly fleet: Fleet;
  /** By the number of the sidecar. */
  readonly agents: Agent[];
  readonly handled: Outcome[];
  readonly events: { name: keyof FleetEvents; event: unknown }[];
  told<K extends keyof FleetEvents>(name: K): FleetEvents[K][0][];
}

export interface SharedFleetSetup {
  agents: number;
  hosts: number;
  /** Of the real CLI. @default the scripted fake CLI */
  version?: ClaudeVersion;
  respond?: StandInApiOptions['respond'];
  sidecar?: SidecarSetup;
  /** For each host, by its number. */
  host?: (n: number) => FleetOptions;
}

/** Sidecars that reach one stand-in API, and hosts that are connected to all of them and share one Redis. */
export interface SharedFleet extends AsyncDisposable {
  readonly api: StandInApi;
  readonly redis: TestRedis;
  readonly sidecars: TestSidecar[];
  readonly hosts: TestHost[];
  /** Of the runs, and where they work. */
  readonly home: string;
  /** What every host was told under that name, together. */
  told<K extends keyof FleetEvents>(name: K): FleetEvents[K][0][];
}

const EVENTS = [
  'agentUnreachable',
  'agentBack',
  'credentialNeeded',
  'credentialChanged',
  'credentialSwitched',
  'credentialsExhausted',
  'credentialExpiring',
  'outcomeCorrected',
  'outcomeHandlerFailed',
] as const satisfies (keyof FleetEvents)[];

export async function startSharedFleet(setup: SharedFleetSetup): Promise<SharedFleet> {
  const { version, respond } = setup;
  const home = makeFolder();
  const redis = await startRedis();
  const api = await startStandInApi(respond === undefined ? {} : { respond });
  const sidecars = await Promise.all(
    Array.from({ length: setup.agents }, (_, n) =>
      startSidecar({
        mode: 'gateway',
        upstream: api.url,
        credential: null,
        ...(version === undefined ? {} : { claude: claudePath(version) }),
        ...setup.sidecar,
        args: [`--agent-id=agent-${n}`, ...(setup.sidecar?.args ?? [])],
        env: { HOME: home.path, IS_SANDBOX: '1', ...setup.sidecar?.env },
      }),
    ),
  );
  const hosts = await Promise.all(
    Array.from({ length: setup.hosts }, (_, n) => startHost(redis.url, sidecars, setup.host?.(n) ?? {})),
  );
  return {
    ...{ api, redis, sidecars, hosts, home: home.path },
    told: (name) => hosts.flatMap((host) => host.told(name)),
    [Symbol.asyncDispose]: async () => {
      await Promise.all(hosts.map(({ fleet }) => fleet.close()));
      await Promise.all(sidecars.map((sidecar) => sidecar[Symbol.asyncDispose]()));
      await api.close();
      await redis[Symbol.asyncDispose]();
      home.remove();
    },
  };
}

async function startHost(redisUrl: string, sidecars: TestSidecar[], options: FleetOptions): Promise<TestHost> {
  const handled: Outcome[] = [];
  const events: TestHost['events'] = [];
  const fleet = createFleet({
    store: redisStore({ url: redisUrl }),
    onOutcome: (outcome) => void handled.push(outcome),
    ...options,
  });
  for (const name of EVENTS) {
    (fleet as { on(name: string, listener: (event: unknown) => void): unknown }).on(name, (event) => {
      events.push({ name, event });
    });
  }
  const agents = await Promise.all(sidecars.map((sidecar) => fleet.connect(sidecar)));
  const told = <K extends keyof FleetEvents>(wanted: K) =>
    events.filter(({ name }) => name === wanted).map(({ event }) => event as FleetEvents[K][0]);
  return { fleet, agents, handled, events, told };
}
