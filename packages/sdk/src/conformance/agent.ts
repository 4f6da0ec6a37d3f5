import { randomUUID } from 'node:crypto';
import { type SidecarFrame, type Welcome } from '@outrigger/protocol';
import { type AgentUnderTest, Skipped, Violation } from './check.js';
import { type Hello, WireClient } from './client.js';
import { runSample, type SampleRun } from './sample-run.js';
import { type ConformanceTarget, tryUpgrade, type Upgrade, type UpgradeResult } from './upgrade.js';

/** The sidecar at an address, with what the suite leaves behind there. */
export class RemoteAgent implements AgentUnderTest {
  readonly #target: ConformanceTarget;
  readonly #suite = `conformance-${randomUUID().slice(0, 8)}`;
  readonly #ids: string[] = [];
  readonly #clients = new Set<WireClient>();
  #sample: Promise<SampleRun> | undefined;
  #welcome: Promise<SidecarFrame<'welcome'>> | undefined;

  constructor(target: ConformanceTarget) {
    this.#target = target;
  }

  async open(upgrade: Upgrade = {}): Promise<WireClient> {
    const result = await tryUpgrade(this.#target, upgrade);
    if (!('accepted' in result)) throw new Violation(`the upgrade was answered ${result.status}`);
    const client = new WireClient(result.accepted);
    this.#clients.add(client);
    return client;
  }

  async connect(hello: Partial<Hello> = {}): Promise<WireClient> {
    const client = await this.open();
    await client.greet(hello);
    return client;
  }

  async tryUpgrade(upgrade: Upgrade): Promise<UpgradeResult> {
    const result = await tryUpgrade(this.#target, upgrade);
    if ('accepted' in result) result.accepted.terminate();
    return result;
  }

  async welcome(): Promise<Welcome> {
    this.#welcome ??= this.connect().then((client) => client.waitFor('welcome', 'a welcome'));
    return orSkip(this.#welcome, 'there is no welcome to go by');
  }

  newId(): string {
    const id = `${this.#suite}-${this.#ids.length + 1}`;
    this.#ids.push(id);
    return id;
  }

  async sampleRun(): Promise<SampleRun> {
    const isFirst = this.#sample === undefined;
    this.#sample ??= runSample(this);
    // Whoever comes first tells what is wrong; for all others there is just nothing to look at.
    return isFirst ? this.#sample : orSkip(this.#sample, 'there is no run to look at');
  }

  /** Drops the connections of a check. */
  dropConnections(): void {
    this.#clients.forEach((client) => client.drop());
    this.#clients.clear();
  }

  /** Cancels and acknowledges what the suite has dispatched, so that no host hears of it. Never fails. */
  async tidyUp(): Promise<void> {
    try {
      const client = await this.connect();
      for (const executionId of this.#ids) {
        const known = await client.ask('status', { executionId });
        if (!known.ok) continue;
        await client.ask('cancel', { executionId });
        const isIt = (frame: SidecarFrame<'outcome'>) => frame.outcome.executionId === executionId;
        const isEnded = (known.result['execution'] as { state?: unknown } | undefined)?.state === 'ended';
        if (!isEnded) await client.waitFor('outcome', 'the outcome of what was cancelled', isIt);
        await client.ask('ack', { executionId });
      }
    } catch {
      // A sidecar that cannot even be asked has been told of by the checks.
    }
    this.dropConnections();
  }
}

async function orSkip<T>(promise: Promise<T>, reason: string): Promise<T> {
  try {
    return await promise;
  } catch (error) {
    throw new Skipped(`${reason}: ${(error as Error).message}`);
  }
}
