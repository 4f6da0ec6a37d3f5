import { createHash, randomBytes } from 'node:crypto';
import { readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { type IncomingMessage } from 'node:http';
import { expect, it, vi } from 'vitest';
import { ask, begin, openWay, startGateway, type TestGateway, TOKEN_A, TOKEN_B } from './support/gateway.js';
import { startUpstream } from './support/upstream.js';

const MIB = 1024 * 1024;
const LARGE = randomBytes(40 * MIB);
const hashOf = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
const EXPIRED = JSON.stringify({
  type: 'error',
  error: { type: 'authentication_error', message: 'OAuth token has expired.' },
});

/** The files a sidecar has open in its folder for bodies. */
function openBodies({ sidecar }: TestGateway): string[] {
  const fds = `/proc/${sidecar.process.pid}/fd`;
  return readdirSync(fds)
    .map((fd) => {
      try {
        return readlinkSync(join(fds, fd));
      } catch {
        return '';
      }
    })
    .filter((target) => target.startsWith(join(sidecar.stateDir, 'bodies')));
}

async function hashOfBody(request: IncomingMessage): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of request) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

it('keeps a body of 40 MiB in a file without a name, and sends it twice, byte for byte', async () => {
  const hashes: string[] = [];
  await using upstream = await startUpstream((request, response) => {
    void hashOfBody(request).then((hash) => {
      hashes.push(hash);
      const isGood = request.headers.authorization !== `Bearer ${TOKEN_A}`;
      response.writeHead(isGood ? 200 : 401).end(isGood ? 'event: done\ndata: {}\n\n' : EXPIRED);
    });
  });
  await using gateway = await startGateway({ upstream: upstream.url, args: ['--hold-silent-ms=1'] });
  const way = await openWay(gateway);
  const answer = begin(way, { body: LARGE });
  await gateway.needed.waitFor();
  expect(openBodies(gateway)).toEqual([expect.stringMatching(/ \(deleted\)$/)]);
  expect(readdirSync(join(gateway.sidecar.stateDir, 'bodies'))).toEqual([]);

  // What is too large to be looked at is a turn, so it is kept waiting as a stream.
  const { response } = await answer;
  expect(response.headers['content-type']).toContain('text/event-stream');
  await gateway.agent.swapCredential(TOKEN_B);
  const events = Buffer.concat((await response.toArray()) as Buffer[]).toString();
  expect(events).toMatch(/^event: ping[^]*event: done\ndata: {}\n\n$/);
  expect(hashes).toEqual([hashOf(LARGE), hashOf(LARGE)]);
  await vi.waitFor(() => expect(openBodies(gateway)).toEqual([]));
});

it('survives a provider that answers, or breaks off, before it has read a large body', async () => {
  await using upstream = await startUpstream((request, response) => {
    if (request.headers['x-how'] === 'break') request.socket.resetAndDestroy();
    else response.writeHead(413, { connection: 'close' }).end('too large', () => request.socket.destroy());
  });
  await using gateway = await startGateway({ upstream: upstream.url });
  const way = await openWay(gateway);
  for (const how of ['answer', 'break', 'answer', 'break']) {
    // Which of the two comes of an early answer is for the network to say.
    const told = ask(way, { body: LARGE, headers: { 'x-how': how } }).then(({ status }) => status);
    const status = await told.catch(() => null);
    expect(how === 'break' ? [null] : [413, null]).toContain(status);
  }
  expect((await gateway.agent.status()).counts.live).toBe(1);
  expect(gateway.sidecar.process.exitCode).toBe(null);
});

it('refuses a body that is larger than any request may be, and says so', async () => {
  await using gateway = await startGateway();
  const way = await openWay(gateway);
  const answer = await ask(way, { body: Buffer.alloc(257 * MIB) });
  expect(answer).toMatchObject({ status: 413, error: { type: 'request_too_large' } });
  expect(gateway.api.requests).toEqual([]);
});
