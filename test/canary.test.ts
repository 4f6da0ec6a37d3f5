import { type ChildProcess } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { LIMITS } from '@outrigger/protocol';
import { type Agent } from '@outrigger/sdk';
import {
  fakeClaudePath,
  fakeScript,
  inOrder,
  refusal,
  reset,
  startStandInApi,
  text,
  toolUse,
} from '@outrigger/sdk/testing';
import { expect, it } from 'vitest';
import { findCanaries, makeCanary, type Place } from './support/canary.js';
import { claudePath } from './support/claude.js';
import { collect, connectFleet } from './support/fleet.js';
import { readOutput } from './support/output.js';
import { processesIn } from './support/outside.js';
import { filesOpenIn, newcomersIn, processTexts } from './support/places.js';
import { RawClient, refusedUpgrade } from './support/raw-client.js';
import { hanging, temporaryFolder } from './support/runs.js';
import { startSidecar, type TestSidecar } from './support/sidecar.js';

/** More than the gateway keeps of one request in memory. */
const BIG_BODY_BYTES = 33 * 1024 * 1024;
/** Says what a process and its two ancestors, the CLI and the sidecar, were started with. */
const LOOK_AROUND = `env; p=$$; for i in 1 2 3; do
  cat /proc/self/environ /proc/$p/environ /proc/$p/cmdline | tr '\\0' '\\n'
  p=$(sed -n 's/^PPid:\\t*//p' /proc/$p/status)
done`;

/** Everything to be escaped somewhere. */
const oauthCanary = (name: string) => makeCanary(name, `sk-ant-oat01-"\\/+%&='$-`);

const CLIS = [
  {
    cli: 'the fake CLI',
    path: fakeClaudePath,
    /** A prompt that makes a run ask, look at its environment, and ask again. */
    lookAround: fakeScript([
      { do: 'init' },
      { do: 'request', prompt: 'look around' },
      { do: 'printEnv' },
      { do: 'request', prompt: 'go on' },
      { do: 'result' },
    ]),
    ask: (prompt: string) => fakeScript([{ do: 'init' }, { do: 'request', prompt }, { do: 'result' }]),
    firstAnswer: text('I have looked around.'),
    surroundings: 'fake_env',
  },
  {
    cli: 'Claude Code 2.1.329',
    path: claudePath('2.1.329'),
    lookAround: 'look around',
    ask: (prompt: string) => prompt,
    firstAnswer: toolUse('Bash', { command: LOOK_AROUND, description: 'look around' }),
    surroundings: 'OUTRIGGER_EXECUTION_ID=',
  },
];

it.each(CLIS)('a secret is nowhere but where it has to be, with $cli (C16)', { timeout: 120_000 }, async (setup) => {
  const [standing, swapped, control, never] = [
    oauthCanary('standing'),
    oauthCanary('swapped'),
    makeCanary('control', 'control-'),
    oauthCanary('never in force'),
  ] as const;
  const canaries = [standing, swapped, control, never];
  const operator = temporaryFolder();
  const [credentialFile, tokenFile] = [join(operator, 'credential'), join(operator, 'token')];
  writeFileSync(credentialFile, standing.secret);
  writeFileSync(tokenFile, control.secret);
  const newFiles = newcomersIn(tmpdir());
  const [cwd, home] = [temporaryFolder(), temporaryFolder()];

  /** Until they are there the run that sent the requests has to live. */
  const bigAnswers: Promise<string>[] = [];
  await using api = await startStandInApi({
    accept: [standing.secret, swapped.secret],
    respond: async ({ prompt, turn }) => {
      if (prompt.includes('go on') || turn > 0) await Promise.all(bigAnswers);
      if (!prompt.includes('look around') || turn > 0) return text('Done.');
      api.refuse(standing.secret, refusal.expired({ message: `OAuth token has expired: ${standing.secret}` }));
      return setup.firstAnswer;
    },
  });
  await using sidecar = await startSidecar({
    claude: setup.path,
    mode: 'gateway',
    upstream: api.url,
    token: null,
    credential: null,
    args: [`--credential-file=${credentialFile}`, `--token-file=${tokenFile}`, '--log-level=trace'],
    env: { HOME: home, IS_SANDBOX: '1' },
  });
  const said: Place[] = [];
  const hear = (where: string, content: unknown) =>
    said.push({ where, content: `${inspect(content, { depth: 20, showHidden: true })} ${JSON.stringify(content)}` });
  sidecar.process.stdout?.on('data', (data: Buffer) => hear("the sidecar's stdout", data.toString()));

  const target = { url: sidecar.url, token: control.secret };
  await using client = await RawClient.connect(target);
  await using host = await connectFleet({ ...sidecar, ...target });
  host.fleet.on('credentialNeeded', (event) => hear('an event of the fleet', event));
  const dispatch = (executionId: string, prompt: string, options: object = {}) =>
    host.agent.dispatch({ executionId, prompt, cwd, allowedTools: ['Bash'], ...options });

  // One run is held in mid-turn, another until its time is up, and so is a body that is too large for memory.
  const held = await dispatch('held', setup.lookAround);
  await client.waitFor('credential_needed');
  bigAnswers.push((await sendBigBody(cwd, sidecar)).answer);
  const waiting = await dispatch('waiting', setup.ask('wait'), { holdTimeoutMs: 500 });
  expect(await waiting.outcome).toMatchObject({ reason: 'auth_expired' });

  await pasteInto(target, client, host.agent, [standing.secret, never.secret], hear);
  const placesWhileHeld = [...newFiles(), ...filesOpenIn(pidOf(sidecar.process)), ...processTexts()];
  expect(findCanaries(canaries, placesWhileHeld)).toEqual([]);

  await host.agent.swapCredential({ id: 'swapped', kind: 'oauth', secret: swapped.secret });
  expect(await held.outcome).toMatchObject({ status: 'succeeded' });
  expect(await Promise.all(bigAnswers)).toEqual([expect.stringContaining('Done.')]);
  api.respondWith(inOrder([reset(), text('Back.')]));
  await (
    await dispatch('cut', setup.ask('the connection is cut'))
  ).outcome;
  api.refuse(swapped.secret, refusal.revoked({ message: `OAuth token has been revoked: ${swapped.secret}` }));
  const failed = await dispatch('failed', setup.ask('fail'), { onCredentialFailure: 'fail' });
  expect(await failed.outcome).toMatchObject({ reason: 'auth_revoked' });

  for (const execution of [held, waiting, failed]) {
    hear('the events of an execution', await collect(execution));
    await readOutput(client, execution.id);
  }
  for (const path of ['healthz', 'readyz', 'metrics']) {
    hear(path, await (await fetch(`${sidecar.url.replace('ws', 'http')}/${path}`)).text());
  }
  hear('the objects of the SDK', [host.fleet, host.agent, held, failed]);
  await sidecar.stop();
  const places: Place[] = [
    ...newFiles(),
    ...processTexts(),
    ...said,
    ...client.frames.map((frame) => ({ where: `a frame ${frame.type}`, content: JSON.stringify(frame) })),
    ...sidecar.log.map((line) => ({ where: "the sidecar's log", content: JSON.stringify(line) })),
  ];
  expect(findCanaries(canaries, places)).toEqual([]);
  // It was looked where something could have been.
  const output = places.find(({ where }) => where === `${sidecar.stateDir}/executions/held/1/stdout`);
  expect(output?.content.toString()).toContain(setup.surroundings);
  expect(api.requests.map(({ secret }) => secret)).toEqual(expect.arrayContaining([standing.secret, swapped.secret]));
});

it('a secret that a run is given by its host is found, so the search finds what there is', async () => {
  const planted = makeCanary('planted', 'planted-');
  const newFiles = newcomersIn(tmpdir());
  const cwd = temporaryFolder();
  await using sidecar = await startSidecar();
  await using client = await RawClient.connect(sidecar);
  const prompt = fakeScript([
    { do: 'printEnv' },
    { do: 'touch', path: join(cwd, 'file'), text: planted.secret },
    ...hanging,
  ]);
  await client.request('dispatch', { executionId: 'run', request: { prompt, cwd, env: { PLANTED: planted.secret } } });
  const reading = readOutput(client, 'run');
  await client.waitFor('output', ({ lines }) => lines.some((line) => line.includes('init')));
  const places = [...newFiles(), ...processTexts(), ...filesOpenIn(pidOf(sidecar.process))];
  const [pid] = processesIn(cwd);
  const folder = `${sidecar.stateDir}/executions/run/1`;
  expect(findCanaries([planted], places)).toEqual(
    expect.arrayContaining(
      [`${cwd}/file`, `/proc/${pid}/environ`, `${folder}/stdin`, `${folder}/stdout`].map(
        (where) => `planted (plain) in ${where}`,
      ),
    ),
  );
  expect(findCanaries([planted], [{ where: 'frames', content: JSON.stringify(client.frames) }])).toHaveLength(1);
  await client.request('cancel', { executionId: 'run' });
  await reading;
});

/** Sends a request as a tool of the run in `folder` could, and waits until the gateway holds it. */
async function sendBigBody(folder: string, sidecar: TestSidecar): Promise<{ answer: Promise<string> }> {
  const [url = '', placeholder = ''] =
    processesIn(folder)
      .map((pid) => readFileSync(`/proc/${pid}/environ`, 'utf8'))
      .map((environ) =>
        [/ANTHROPIC_BASE_URL=([^\0]+)/, /CLAUDE_CODE_OAUTH_TOKEN=([^\0]+)/].map((it) => it.exec(environ)?.[1]),
      )
      .find((values) => values.every((value) => value !== undefined)) ?? [];
  const body = JSON.stringify({ model: 'any', messages: [{ role: 'user', content: 'x'.repeat(BIG_BODY_BYTES) }] });
  const headers = { authorization: `Bearer ${placeholder}`, 'content-type': 'application/json' };
  const answer = fetch(`${url}/v1/messages`, { method: 'POST', headers, body }).then((response) => response.text());
  const isKept = () => filesOpenIn(pidOf(sidecar.process)).some(({ content }) => content.length === body.length);
  await expect.poll(isKept, { timeout: 20_000 }).toBe(true);
  return { answer };
}

/** Sends secrets where they do not belong, in frames that are refused. */
async function pasteInto(
  target: { url: string; token: string },
  client: RawClient,
  agent: Agent,
  secrets: readonly string[],
  hear: (where: string, content: unknown) => void,
): Promise<void> {
  for (const secret of secrets) {
    const credential = { id: 'pasted', kind: 'oauth', secret } as const;
    const credentials: object[] = [
      { ...credential, secret: secret.padEnd(LIMITS.secretCharsMax + 1, 'x') },
      { ...credential, secret: `${secret}\n${secret}` },
      { ...credential, kind: secret },
      { ...credential, id: secret },
      { ...credential, expiresAt: secret },
    ];
    for (const bad of credentials) {
      await client.refused('swap_credential', { credential: bad });
      await hearError(agent.swapCredential(bad as typeof credential), hear);
    }
    await client.refused('swap_credential', { credential: { ...credential, secret: `${secret}x` }, ifGeneration: 99 });
    await client.refused('swap_credential', { credential, ifGeneration: secret });
    const requests: object[] = [
      { model: `${secret}\0` },
      { cwd: secret },
      { timeoutMs: secret },
      { onCredentialFailure: secret },
      { args: ['--settings', secret] },
      { env: { ANTHROPIC_API_KEY: secret } },
      { labels: { 'not a name': secret } },
    ];
    for (const bad of requests) {
      await client.refused('dispatch', { executionId: 'pasted', request: { prompt: 'x', ...bad } });
      await hearError(agent.dispatch({ prompt: 'x', ...bad }), hear);
    }
    await client.refused('dispatch', { executionId: secret, request: { prompt: 'x' } });
    await client.refused('cancel', { executionId: secret });
    for (const text of [secret, JSON.stringify({ type: 'hello', versions: secret }), Buffer.from(secret)]) {
      await using stranger = await RawClient.open(target);
      stranger.send(text);
      hear('a close frame', await stranger.closed);
    }
    hear('a refused upgrade', await refusedUpgrade(target, { token: encodeURIComponent(secret) }));
    hear('a refused upgrade', await refusedUpgrade(target, { path: `/?token=${encodeURIComponent(secret)}` }));
  }
}

async function hearError(doomed: Promise<unknown>, hear: (where: string, content: unknown) => void): Promise<void> {
  const error: unknown = await doomed.then(
    () => Promise.reject(new Error('it was not refused')),
    (reason: unknown) => reason,
  );
  hear('an error of the SDK', error);
}

function pidOf({ pid }: ChildProcess): number {
  if (pid === undefined) throw new Error('the process was not started');
  return pid;
}
