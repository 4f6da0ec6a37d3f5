import { sdkError } from '../errors.js';
import { findAddressFault } from '../core/address.js';
import { RemoteAgent } from './agent.js';
import { type ConformanceCheck, Skipped } from './check.js';
import { agentChecks } from './checks/agent.js';
import { connectingChecks } from './checks/connecting.js';
import { executionChecks } from './checks/executions.js';
import { frameChecks } from './checks/frames.js';
import { outcomeChecks } from './checks/outcomes.js';
import { outputChecks } from './checks/output.js';
import { type ConformanceTarget, tryUpgrade } from './upgrade.js';

/** What came of a check. */
export interface ConformanceResult {
  readonly id: string;
  /** What the protocol demands, as a sentence. */
  readonly demand: string;
  /** The heading in PROTOCOL.md that demands it. */
  readonly section: string;
  /** `skipped`: it cannot be told, as the agent stands. */
  readonly result: 'passed' | 'failed' | 'skipped';
  /** Why it failed or was skipped. */
  readonly reason?: string;
  readonly durationMs: number;
}

export interface ConformanceReport {
  /** In the order of {@link conformanceChecks}. */
  readonly results: readonly ConformanceResult[];
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

export interface ConformanceOptions {
  /** Called with each result as soon as it is known. */
  readonly onResult?: ((result: ConformanceResult) => void) | undefined;
}

/** Every check, in the order in which they are run. */
export const conformanceChecks: readonly ConformanceCheck[] = [
  ...connectingChecks,
  ...frameChecks,
  ...executionChecks,
  ...outputChecks,
  ...outcomeChecks,
  ...agentChecks,
];

/**
 * Finds out whether the sidecar at an address keeps to `outrigger.v1`, by frames alone: it need not be ours.
 *
 * What it costs: one short run of the CLI the sidecar has, of one turn without tools, on its credential; a handful of executions that
 * end before they have a process; six upgrades that are refused, which count against this address for some ten seconds;
 * and, where nothing runs or waits, a drain of a moment. Everything it dispatched is acknowledged in the end. Run it
 * against an agent that no host is connected to: one would hear of those executions, and could acknowledge them first. A
 * sidecar that ignores `ifGeneration` ends up with a credential that is none.
 *
 * @throws OutriggerError `insecure_url` or `invalid` for the address, `agent_unreachable` when nothing answers there,
 * `unauthorized` when the token is refused. What a check finds out is never thrown.
 */
export async function runConformance(
  target: ConformanceTarget,
  { onResult }: ConformanceOptions = {},
): Promise<ConformanceReport> {
  const fault = findAddressFault(target.url, { insecure: target.insecure ?? false });
  if (fault !== null) throw fault;
  await ensureReachable(target);
  const agent = new RemoteAgent(target);
  const results: ConformanceResult[] = [];
  for (const check of conformanceChecks) {
    const result = await runCheck(check, agent);
    results.push(result);
    onResult?.(result);
  }
  await agent.tidyUp();
  const count = (wanted: ConformanceResult['result']) => results.filter(({ result }) => result === wanted).length;
  return { results, passed: count('passed'), failed: count('failed'), skipped: count('skipped') };
}

async function ensureReachable(target: ConformanceTarget): Promise<void> {
  const { host } = new URL(target.url);
  let answer: Awaited<ReturnType<typeof tryUpgrade>>;
  try {
    answer = await tryUpgrade(target);
  } catch (error) {
    throw sdkError('agent_unreachable', `${host} cannot be reached: ${(error as Error).message}`, { cause: error });
  }
  if ('accepted' in answer) answer.accepted.terminate();
  else if (answer.status === 401) throw sdkError('unauthorized', `${host} refused the control token`);
  else throw sdkError('agent_unreachable', `${host} answered the upgrade with HTTP ${answer.status}`);
}

async function runCheck({ id, demand, section, run }: ConformanceCheck, agent: RemoteAgent) {
  const startedAtMs = performance.now();
  const verdict = await run(agent).then(
    () => ({ result: 'passed' }) as const,
    (error: unknown) => {
      const reason = error instanceof Error ? error.message : String(error);
      return { result: error instanceof Skipped ? 'skipped' : 'failed', reason } as const;
    },
  );
  agent.dropConnections();
  return { id, demand, section, ...verdict, durationMs: Math.round(performance.now() - startedAtMs) };
}
