import { randomUUID } from 'node:crypto';
import { mkdtempSync, renameSync, rmSync, statSync, writeFileSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CLOSE_CODES } from '@outrigger/protocol';
import { describe, expect, it, onTestFinished } from 'vitest';
import { RawClient, refusedUpgrade, type Upgrade } from './support/raw-client.js';
import { startSidecar, TOKEN } from './support/sidecar.js';

/** Failed attempts of one address before the sidecar stops looking at its tokens. */
const FAILURES_MAX = 10;

function temporaryFile(name: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'outrigger-token-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return join(folder, name);
}

describe('an upgrade', () => {
  it.each<[string, Upgrade, number, string]>([
    ['no token', { token: null }, 401, 'unauthorized'],
    ['a wrong token', { token: 'not-the-token-of-this-agent' }, 401, 'unauthorized'],
    ['a token that is a beginning of the right one', { token: TOKEN.slice(0, -1) }, 401, 'unauthorized'],
    ['another scheme', { token: null, headers: { authorization: `Basic ${TOKEN}` } }, 401, 'unauthorized'],
    ['the token in the URL', { token: null, path: `/?token=${TOKEN}` }, 400, 'token_in_url'],
    ['an access_token in the URL', { path: `/?a=b&access_token=${TOKEN}` }, 400, 'token_in_url'],
    ['another path', { path: '/v1' }, 404, 'not_found'],
    ['a query', { path: '/?a=b' }, 404, 'not_found'],
    ['a foreign Origin', { headers: { origin: 'https://evil.example' } }, 403, 'origin_refused'],
    ['no subprotocol', { subprotocols: [] }, 400, 'wrong_subprotocol'],
    ['another subprotocol', { subprotocols: ['outrigger.v0'] }, 400, 'wrong_subprotocol'],
  ])('with %s is refused, typed, before anything is accepted (B1)', async (_what, upgrade, status, code) => {
    await using sidecar = await startSidecar();
    const refusal = await refusedUpgrade(sidecar, upgrade);
    expect(refusal).toMatchObject({ status, code });
    expect(refusal.message).not.toContain(TOKEN);
    expect(refusal.headers['www-authenticate']).toBe(status === 401 ? 'Bearer' : undefined);
    expect(JSON.stringify(sidecar.log)).not.toContain(TOKEN);
    expect(await sidecar.waitForLog((line) => line['code'] === code)).toMatchObject({ address: '127.0.0.1' });
  });

  it('is accepted with the right token among several subprotocols, whatever the case of the scheme (B1)', async () => {
    await using sidecar = await startSidecar();
    await using client = await RawClient.open(sidecar, {
      token: null,
      headers: { authorization: `bearer ${TOKEN}` },
      subprotocols: ['graphql-ws', 'outrigger.v1'],
    });
    expect(client.subprotocol).toBe('outrigger.v1');
  });

  it('is accepted from an Origin that is allowed (B1)', async () => {
    await using sidecar = await startSidecar({ args: ['--allow-origin', 'https://ours.example'] });
    await using client = await RawClient.open(sidecar, { headers: { origin: 'https://ours.example' } });
    expect(client.subprotocol).toBe('outrigger.v1');
    expect(await refusedUpgrade(sidecar, { headers: { origin: 'https://ours.example.evil' } })).toMatchObject({
      code: 'origin_refused',
    });
  });

  it('is refused unseen after a burst of failures, while a connected client goes on (B1)', async () => {
    await using sidecar = await startSidecar();
    await using client = await RawClient.connect(sidecar);
    const refusals = await Promise.all(
      Array.from({ length: 3 * FAILURES_MAX }, () => refusedUpgrade(sidecar, { token: 'guess-after-guess' })),
    );
    const codes = refusals.map(({ status, code }) => `${status ?? ''} ${code}`);
    expect(codes.filter((code) => code === '401 unauthorized').length).toBeGreaterThanOrEqual(FAILURES_MAX);
    expect(new Set(codes)).toEqual(new Set(['401 unauthorized', '429 too_many_failures']));
    const waits = refusals.map(({ status, headers }) => `${status ?? ''} ${headers['retry-after'] ?? 'at once'}`);
    expect(new Set(waits)).toEqual(new Set(['401 at once', '429 2']));

    await client.dispatch('during', 'hello');
    expect(await client.outcome('during')).toMatchObject({ status: 'succeeded', result: 'hello' });
  });
});

describe('a handshake', () => {
  it('on versions that are not spoken here ends with 4406 and says which one is (B1)', async () => {
    await using sidecar = await startSidecar();
    await using client = await RawClient.open(sidecar);
    client.send({ type: 'hello', versions: [2, 99], client: { name: 'test' } });
    expect(await client.closed).toMatchObject({ code: CLOSE_CODES.unsupportedVersion.code });
    expect(client.frames).toMatchObject([{ type: 'error', code: 'unsupported_version' }]);
  });

  it('takes the version both speak, wherever it stands (B1)', async () => {
    await using sidecar = await startSidecar();
    await using client = await RawClient.connect(sidecar, { versions: [7, 1] });
    const welcome = await client.waitFor('welcome');
    expect(welcome).toMatchObject({ version: 1, agentId: sidecar.agentId, generation: 1, refused: [] });
  });
});

describe('control tokens', () => {
  it('of a file may be two, and are read again when the file changes (B1)', async () => {
    const path = temporaryFile('token');
    const [old, next, last] = ['old', 'next', 'last'].map((name) => `${name}-${randomUUID()}`) as [
      string,
      string,
      string,
    ];
    // Renamed into place, as tools that rotate secrets do.
    const write = (...tokens: string[]) => {
      writeFileSync(`${path}.new`, tokens.join('\n'));
      renameSync(`${path}.new`, path);
    };
    write(old);
    await using sidecar = await startSidecar({ token: null, args: ['--token-file', path] });
    const connect = async (token: string) => RawClient.connect({ url: sidecar.url, token });
    await using first = await connect(old);
    expect(await refusedUpgrade(sidecar, { token: next })).toMatchObject({ code: 'unauthorized' });

    write(old, next);
    await using second = await connect(next);
    await using third = await connect(old);

    write(next, last);
    expect(await refusedUpgrade(sidecar, { token: old })).toMatchObject({ code: 'unauthorized' });
    await using fourth = await connect(last);
    // A token that was rotated out does not end the connections it opened.
    for (const client of [first, second, third, fourth]) expect(await client.request('status')).toBeDefined();
  });

  it('stay valid while their file is gone, broken or empty, and the log says so once each (B1)', async () => {
    const path = temporaryFile('token');
    writeFileSync(path, TOKEN);
    await using sidecar = await startSidecar({ token: null, args: ['--token-file', path] });
    const look = async () => {
      await using client = await RawClient.connect({ url: sidecar.url, token: TOKEN });
      await client.settled();
    };
    const changes = [
      () => writeFileSync(path, 'short'),
      () => writeFileSync(path, ''),
      () => rmSync(path),
      () => writeFileSync(path, TOKEN),
      () => rmSync(path),
      () => writeFileSync(path, TOKEN),
    ];
    for (const change of changes) {
      change();
      await look();
      await look();
    }
    const told = () => sidecar.log.filter((line) => line.msg.startsWith('control tokens'));
    await sidecar.waitForLog(() => told().length >= changes.length);
    expect(told().map((line) => (line['err'] as Error | undefined)?.message.split(':', 1)[0] ?? line.msg)).toEqual([
      'holds a control token of less than 16 characters',
      'holds no control token',
      'ENOENT',
      'control tokens can be read again',
      'ENOENT',
      'control tokens can be read again',
    ]);
  });

  it('are made by a sidecar that was given none: private, named on its ready line, kept for the next start (B1)', async () => {
    const stateDir = join(temporaryFile('unused'), '..', 'state');
    let made: string;
    {
      await using sidecar = await startSidecar({ token: null, stateDir });
      expect(sidecar.tokenFile).toBe(join(stateDir, 'token'));
      expect(statSync(join(stateDir, 'token')).mode & 0o777).toBe(0o600);
      expect(statSync(stateDir).mode & 0o777).toBe(0o700);
      made = readFileSync(join(stateDir, 'token'), 'utf8').trim();
      expect(made).toMatch(/^\S{40,}$/);
      await using client = await RawClient.connect({ url: sidecar.url, token: made });
      await client.settled();
      expect(JSON.stringify(sidecar.log)).not.toContain(made);
    }
    await using sidecar = await startSidecar({ token: null, stateDir });
    await using client = await RawClient.connect({ url: sidecar.url, token: made });
    await client.settled();
  });
});

describe('health pages', () => {
  it('answer without a token and hold no secret (B1)', async () => {
    await using sidecar = await startSidecar({ credential: null });
    const get = async (path: string) => {
      const response = await fetch(`${sidecar.url.replace('ws:', 'http:')}${path}`);
      return { status: response.status, body: await response.json() };
    };
    expect(await get('/healthz')).toMatchObject({ status: 200, body: { status: 'ok', agentId: sidecar.agentId } });
    expect(await get('/readyz')).toEqual({ status: 503, body: { ready: false, problem: 'credential_missing' } });
    expect(await get('/')).toMatchObject({ status: 404 });
  });
});
