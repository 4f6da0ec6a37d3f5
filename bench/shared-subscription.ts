/**
 * When agents that share one subscription reach its limit in mid-turn, how is that decided, and does every run end well?
 *
 * Nine sidecars with the real CLI, two hosts over one Redis, and one credential that all nine have. Each run has called a tool,
 * which is still running, when the API begins to refuse that credential; three others are left in the pool. What is decided is
 * read from what the hosts write to Redis, swaps from the sidecars, and starts from what the API was asked.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Outcome } from '@outrigger/sdk';
import { conversation, refusal, text, toolUse } from '@outrigger/sdk/testing';
import { Redis } from 'ioredis';
import { CLAUDE_VERSIONS, type ClaudeVersion } from '../test/support/claude.js';
import { type SharedFleet, startSharedFleet } from '../test/support/shared-fleet.js';
import { median } from './support/process.js';

const AGENTS = Number(process.env['AGENTS'] ?? 9);
const ROUNDS = Number(process.env['ROUNDS'] ?? 5);
const HOUR_MS = 60 * 60 * 1000;
const ANSWER = 'Done.';

const token = (id: string) => ({ id, kind: 'oauth', secret: `sk-ant-oat01-bench-${id}` }) as const;
const SHARED = token('shared');
const LEFT = ['left-1', 'left-2', 'left-3'].map(token);

/** What the hosts have written about the pool, as far as it matters here. */
interface Pool {
  readonly credentials: Record<string, { readonly fault: object | null } | undefined>;
  readonly agents: Record<string, { readonly wanted?: { readonly why: string } } | undefined>;
}

interface Round {
  /** Documents written from the refusal to the last outcome, those that give an agent something else, and how often it was condemned. */
  readonly written: number;
  readonly deciding: number;
  readonly condemned: number;
  readonly switched: number;
  /** Agents by the number of credentials they were given. */
  readonly swaps: number[];
  /** Agents on each of what was left. */
  readonly spread: number[];
  readonly failed: number;
  readonly restarted: number;
  readonly exhausted: number;
  /** How long each run was held. */
  readonly heldMs: number[];
}

// Each child that is started here has one listener.
process.setMaxListeners(0);

console.log(`| | rounds × agents | condemned | deciding writes: median | writes: median | switched | swaps of an agent | spread | failed | restarted | exhausted | held: median | maximum |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |`);
for (const version of CLAUDE_VERSIONS) {
  const rounds: Round[] = [];
  for (let n = 0; n < ROUNDS; n++) {
    rounds.push(await limitReached(version));
    process.stderr.write(`\r${version} ${n + 1}/${ROUNDS}`);
  }
  process.stderr.write('\n');
  for (const round of rounds.filter((each) => !isRight(each))) {
    console.error(JSON.stringify(round));
    process.exitCode = 1;
  }
  console.log(row(version, rounds));
}

async function limitReached(version: ClaudeVersion): Promise<Round> {
  await using fleet = await startSharedFleet({
    agents: AGENTS,
    hosts: 2,
    version,
    host: () => ({ credentials: [SHARED] }),
  });
  const { api, home, hosts } = fleet;
  await until(async () => (await inForce(fleet)).every(({ id }) => id === SHARED.id));
  for (const host of hosts) for (const credential of LEFT) await host.fleet.credentials.put(credential);

  const gates = join(home, 'gates');
  mkdirSync(gates);
  const waiting = join(gates, 'waiting');
  const open = join(gates, 'open');
  const command = `echo x >> ${waiting}; until [ -e ${open} ]; do sleep 0.05; done`;
  api.respondWith(
    conversation([
      toolUse('Bash', { command, description: 'wait' }),
      toolUse('Bash', { command: 'echo tool', description: 'speak' }),
      text(ANSWER),
    ]),
  );
  const dispatches = fleet.sidecars.map(async (_, n) => {
    const agent = hosts[n % hosts.length]?.agents[n];
    const request = { executionId: `run-${n}`, prompt: `Run ${n}.`, cwd: home, allowedTools: ['Bash'] };
    return agent?.dispatch(request);
  });
  const executions = await Promise.all(dispatches);
  await until(() => Promise.resolve(linesIn(waiting) === AGENTS));

  const before = await inForce(fleet);
  const eventsBefore = fleet.told('credentialSwitched').length;
  await using pool = await watchPool(fleet.redis.url);
  api.refuse(SHARED.secret, refusal.rateLimited({ claim: 'five_hour', resetsAt: Date.now() + HOUR_MS }));
  writeFileSync(open, '');
  const outcomes = await Promise.all(executions.map(async (execution) => execution?.outcome));
  // What is told right after the last one goes on.
  await sleep(500);

  const after = await inForce(fleet);
  const main = api.requests.filter(({ kind }) => kind === 'main');
  return {
    ...(await pool.seen()),
    switched: fleet.told('credentialSwitched').length - eventsBefore,
    swaps: after.map(({ generation }, n) => generation - (before[n]?.generation ?? 0)),
    spread: LEFT.map(({ id }) => after.filter((agent) => agent.id === id).length).sort(),
    failed: outcomes.filter((outcome) => !isGood(outcome)).length,
    restarted: main.filter(({ turn }) => turn === 0).length - AGENTS,
    exhausted: fleet.told('credentialsExhausted').length,
    heldMs: outcomes.map((outcome) => outcome?.heldMs ?? NaN),
  };
}

function isGood(outcome: Outcome | undefined): boolean {
  return outcome?.status === 'succeeded' && outcome.result === ANSWER && outcome.attempts === 1;
}

function isRight({ condemned, switched, swaps, spread, failed, restarted, exhausted }: Round): boolean {
  const isEven = Math.max(...spread) - Math.min(...spread) <= 1;
  const areGood = failed === 0 && restarted === 0 && exhausted === 0;
  return condemned === 1 && switched === AGENTS && swaps.every((swap) => swap === 1) && isEven && areGood;
}

async function inForce({ hosts }: SharedFleet): Promise<{ id: string | null; generation: number }[]> {
  const all = await Promise.all((hosts[0]?.agents ?? []).map((agent) => agent.status()));
  return all.map(({ credentialId, generation }) => ({ id: credentialId, generation: generation ?? 0 }));
}

/** Follows every document of the pool that is written from now on. */
async function watchPool(url: string) {
  const direct = new Redis(url);
  const key = 'outrigger:document:{credentials}';
  const documents = [JSON.parse((await direct.hget(key, 'value')) ?? '{}') as Pool];
  const monitor = await direct.monitor();
  monitor.on('monitor', (_time: string, [command, written, ...fields]: string[]) => {
    if (command?.toLowerCase() !== 'hset' || written !== key) return;
    documents.push(JSON.parse(fields[fields.indexOf('value') + 1] ?? '{}') as Pool);
  });
  const changes = () => documents.slice(1).map((after, n) => ({ before: documents[n], after }));
  const isGiven = (pool: Pool | undefined, id: string) => pool?.agents[id]?.wanted?.why === 'rate_limited';
  const isCondemned = (pool: Pool | undefined) => pool?.credentials[SHARED.id]?.fault != null;
  return {
    seen: async () => {
      // The monitor has everything that came before its own words.
      await direct.ping();
      await sleep(50);
      return {
        written: documents.length - 1,
        deciding: changes().filter(({ before, after }) =>
          Object.keys(after.agents).some((id) => isGiven(after, id) && !isGiven(before, id)),
        ).length,
        condemned: changes().filter(({ before, after }) => isCondemned(after) && !isCondemned(before)).length,
      };
    },
    [Symbol.asyncDispose]: async () => {
      monitor.disconnect();
      await direct.quit();
    },
  };
}

function linesIn(path: string): number {
  return existsSync(path) ? readFileSync(path, 'utf8').split('\n').filter(Boolean).length : 0;
}

async function until(isSo: () => Promise<boolean>): Promise<void> {
  while (!(await isSo())) await sleep(50);
}

function row(version: string, rounds: readonly Round[]): string {
  const sum = (of: (round: Round) => number) => rounds.reduce((total, round) => total + of(round), 0);
  const each = (values: readonly unknown[]) => [...new Set(values.map(String))].sort().join(' or ');
  const held = rounds.flatMap(({ heldMs }) => heldMs);
  const cells = [
    ...[version, `${rounds.length} × ${AGENTS}`, each(rounds.map(({ condemned }) => condemned))],
    ...[median(rounds.map(({ deciding }) => deciding)), median(rounds.map(({ written }) => written))],
    ...[sum(({ switched }) => switched), each(rounds.flatMap(({ swaps }) => swaps))],
    ...[each(rounds.map(({ spread }) => spread.join(' + '))), sum(({ failed }) => failed)],
    ...[sum(({ restarted }) => restarted), sum(({ exhausted }) => exhausted)],
    ...[`${median(held)} ms`, `${Math.max(...held)} ms`],
  ];
  return `| ${cells.join(' | ')} |`;
}
