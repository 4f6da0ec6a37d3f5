import { once } from 'node:events';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { refusal, text, toolUse } from '@outrigger/sdk/testing';
import { expect, it, onTestFinished } from 'vitest';
import { CLAUDE_VERSIONS } from './support/claude.js';
import { collect } from './support/fleet.js';
import { ask, openWay, startGateway, type TestGateway, TOKEN_A } from './support/gateway.js';
import { processesIn } from './support/outside.js';
import { RawClient } from './support/raw-client.js';
import { temporaryFolder } from './support/runs.js';

const STANDING = 'sk-ant-oat01-canary-that-stands';
const SWAPPED = 'sk-ant-oat01-canary-that-was-swapped';

/** Each file below a folder, by its name. */
function filesIn(folder: string): [name: string, text: string][] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter((path) => statSync(path).isFile())
    .map((path) => [path, readFileSync(path, 'latin1')]);
}

/** What everybody on the machine could read of a process. */
function traitsOf(pid: number): [name: string, text: string][] {
  return ['environ', 'cmdline'].map((name) => [`${name} of ${pid}`, readFileSync(`/proc/${pid}/${name}`, 'latin1')]);
}

async function pageOf({ sidecar }: TestGateway, path: string): Promise<[string, string]> {
  const answer = await fetch(`${sidecar.url.replace('ws:', 'http:')}${path}`, {
    headers: { authorization: `Bearer ${sidecar.token}` },
  });
  return [path, await answer.text()];
}

it.each(CLAUDE_VERSIONS)('leaves no secret anywhere but in memory: Claude Code %s (C16)', async (version) => {
  const file = join(temporaryFolder(), 'credential');
  writeFileSync(file, `${STANDING}\n`);
  const respond = ({ secret = '', turn }: { secret: string | undefined; turn: number }) => {
    // A provider that repeats what it was given.
    if (secret === STANDING) return refusal.expired({ message: `OAuth token has expired: ${secret}` });
    return turn === 0 ? toolUse('Bash', { command: 'env; cat /proc/$PPID/environ | tr "\\0" "\\n"' }) : text('Done.');
  };
  const flags = [`--credential-file=${file}`, '--log-level=trace'];
  await using gateway = await startGateway({ version, respond, credential: null, args: flags });
  await using client = await RawClient.connect(gateway.sidecar);
  const execution = await gateway.dispatch({ prompt: 'Hello', allowedTools: ['Bash'] });
  const notice = await gateway.needed.waitFor();
  expect(notice.message).toContain('OAuth token has expired: ');
  const places = [...processesIn(gateway.home), gateway.sidecar.process.pid ?? 0].flatMap(traitsOf);
  await gateway.agent.swapCredential({ id: 'next', kind: 'oauth', secret: SWAPPED });
  const outcome = await execution.outcome;
  expect(outcome.status).toBe('succeeded');
  await client.outcome(execution.id);

  const told = { events: await collect(execution), outcome, frames: client.frames, notice, log: gateway.sidecar.log };
  places.push(...Object.entries(told).map(([name, value]): [string, string] => [name, JSON.stringify(value)]));
  places.push(...filesIn(gateway.sidecar.stateDir), ...filesIn(gateway.home));
  places.push(await pageOf(gateway, '/healthz'), await pageOf(gateway, '/readyz'), await pageOf(gateway, '/metrics'));
  expect(places.filter(([, found]) => found.includes('canary')).map(([name]) => name)).toEqual([]);
  // The search does look into the places where a secret would be.
  expect(places.filter(([, found]) => found.includes('outrigger-placeholder')).length).toBeGreaterThan(2);
  expect(places.find(([name]) => name.endsWith('/stdout'))?.[1]).toContain('Done.');
});

it('leaves no secret in the log when a provider repeats it in an answer that is not HTTP (C16)', async () => {
  await using gateway = await startGateway({ upstream: await startEcho(), args: ['--log-level=debug'] });
  const way = await openWay(gateway, { preflight: true });
  await expect(ask(way)).rejects.toThrow('socket hang up');
  await gateway.sidecar.waitForLog(({ msg }) => msg === 'request to the provider failed');
  await gateway.sidecar.waitForLog(({ msg }) => msg === 'preflight failed');
  expect(JSON.stringify(gateway.sidecar.log)).not.toContain(TOKEN_A);
});

/** Answers what it was sent, in a header without a name. */
async function startEcho(): Promise<string> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', (head) => socket.end(`HTTP/1.1 200 OK\r\nno name: ${head.toString()}`));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
