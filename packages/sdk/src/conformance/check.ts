import { type Welcome } from '@outrigger/protocol';
import { type Hello, type WireClient } from './client.js';
import { type SampleRun } from './sample-run.js';
import { type Upgrade, type UpgradeResult } from './upgrade.js';

/** One thing PROTOCOL.md demands of a sidecar, and how to find out whether it does it. */
export interface ConformanceCheck {
  /** Stable, e.g. `upgrade.token-wrong`. */
  readonly id: string;
  /** What the protocol demands, as a sentence. */
  readonly demand: string;
  /** The heading in PROTOCOL.md that demands it. */
  readonly section: string;
  /** Resolves when the demand is met. @throws Violation when it is not; Skipped when that cannot be told */
  readonly run: (agent: AgentUnderTest) => Promise<void>;
}

/** The sidecar a check looks at. */
export interface AgentUnderTest {
  /** Connects without saying hello. The connection is dropped when the check is over. */
  open(upgrade?: Upgrade): Promise<WireClient>;
  /** Connects and shakes hands. */
  connect(hello?: Partial<Hello>): Promise<WireClient>;
  /** Tries an upgrade that is to be refused. */
  tryUpgrade(upgrade: Upgrade): Promise<UpgradeResult>;
  /** What the sidecar said when the suite began. @throws Skipped when it said nothing of use */
  welcome(): Promise<Welcome>;
  /** An id nobody has used, to be tidied away at the end. */
  newId(): string;
  /** The one run of the CLI that all checks share, once it has ended. @throws Skipped when the agent does not take it */
  sampleRun(): Promise<SampleRun>;
}

/** The sidecar does not do what the protocol demands. */
export class Violation extends Error {}

/** Whether the sidecar does it cannot be told now. */
export class Skipped extends Error {}

/** @throws Violation unless `isMet` */
export function demand(isMet: boolean, otherwise: string): asserts isMet {
  if (!isMet) throw new Violation(otherwise);
}

/** A value as it is shown in a message: short, and on one line. */
export function show(value: unknown): string {
  const text = JSON.stringify(value) as string | undefined;
  return text === undefined ? 'nothing' : text.length > 200 ? `${text.slice(0, 200)}…` : text;
}
