import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type CredentialKind } from '@outrigger/protocol';
import { startStandInApi, text } from '@outrigger/sdk/testing';
import { execa } from 'execa';
import { describe, expect, it } from 'vitest';
// Not part of the package's face: whether they are right, only the real CLIs can tell.
import { buildArgv } from '../packages/sidecar/src/claude/argv.js';
import { mergeSettings, proxiesOf } from '../packages/sidecar/src/claude/settings.js';
import { CLAUDE_VERSIONS, claudePath, type ClaudeVersion } from './support/claude.js';
import { type Diversion, DIVERSIONS, EVERYTHING } from './support/diversions.js';

const PLACEHOLDER = 'outrigger-placeholder';

/** Where the CLI must not go: an API and a proxy that refuse, and note what they were asked. */
async function startElsewhere() {
  const asked: string[] = [];
  const proxied = new AbortController();
  const server = createServer((request, response) => {
    if (request.method === 'POST') asked.push(request.url ?? '');
    response.writeHead(404, { 'x-should-retry': 'false' }).end();
  });
  server.on('connect', (request, socket) => {
    socket.destroy();
    // Versions that go to the provider itself do so through the run's own proxy.
    if (request.url?.startsWith('127.0.0.1:') !== true) return;
    asked.push(request.url);
    // 1.0.128 asks a proxy that refuses for ever.
    proxied.abort();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    asked,
    proxied: proxied.signal,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

/** One run of the real CLI: where its requests for a model went, and as whom. */
async function run(version: ClaudeVersion, diversion: Diversion, kind: CredentialKind, isPinned: boolean) {
  await using api = await startStandInApi({ respond: text('All is well.') });
  await using elsewhere = await startElsewhere();
  const folder = mkdtempSync(join(tmpdir(), 'outrigger-pins-'));
  const write = (path: string, content: object | string, mode = 0o644) => {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), typeof content === 'string' ? content : JSON.stringify(content), { mode });
  };
  const [helper, helped, settings] = [join(folder, 'helper'), join(folder, 'helped'), join(folder, 'settings.json')];
  write('helper', `#!/bin/sh\ntouch ${helped}\necho theirs\n`, 0o755);
  mkdirSync(join(folder, 'home'));
  mkdirSync(join(folder, 'repo'));
  for (const [path, content] of Object.entries(diversion.files?.(elsewhere.url, helper) ?? {})) write(path, content);
  const env = diversion.env?.(elsewhere.url) ?? {};
  const facts = { baseUrl: api.url, kind, placeholder: PLACEHOLDER, proxies: proxiesOf(env), noProxy: '127.0.0.1' };
  write('settings.json', isPinned ? mergeSettings({ includeCoAuthoredBy: false }, facts) : {});

  await execa(claudePath(version), buildArgv({ prompt: '' }, { start: crypto.randomUUID() }, settings), {
    extendEnv: false,
    cwd: join(folder, 'repo'),
    env: {
      PATH: process.env['PATH'],
      HOME: join(folder, 'home'),
      IS_SANDBOX: '1',
      CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
      CLAUDE_CODE_MAX_RETRIES: '1',
      DISABLE_AUTOUPDATER: '1',
      ANTHROPIC_BASE_URL: api.url,
      [kind === 'oauth' ? 'CLAUDE_CODE_OAUTH_TOKEN' : 'ANTHROPIC_API_KEY']: PLACEHOLDER,
      ...env,
    },
    input: 'Do what you are asked.',
    reject: false,
    cancelSignal: elsewhere.proxied,
  });
  const hasAskedHelper = existsSync(helped);
  rmSync(folder, { recursive: true, force: true });

  const sent = api.requests.map(({ headers }) => ({
    // 1.0.128 sends an empty bearer along with an API key.
    authorization: headers.authorization === 'Bearer' ? undefined : headers.authorization,
    apiKey: headers['x-api-key'],
  }));
  return {
    sent: new Set(sent.map((credentials) => JSON.stringify(credentials))),
    asked: elsewhere.asked,
    hasAskedHelper,
  };
}

function rightly(kind: CredentialKind): Awaited<ReturnType<typeof run>> {
  const credentials = kind === 'oauth' ? { authorization: `Bearer ${PLACEHOLDER}` } : { apiKey: PLACEHOLDER };
  return { sent: new Set([JSON.stringify(credentials)]), asked: [], hasAskedHelper: false };
}

const NEWEST = '2.1.329';

describe(`pinned settings hold the real Claude Code ${NEWEST} where it was sent (C17)`, () => {
  it.concurrent.each(Object.entries(DIVERSIONS))(
    'against %s, which leads it away otherwise',
    async (_what, diversion) => {
      const kind = diversion.kind ?? 'oauth';
      expect(await run(NEWEST, diversion, kind, false)).not.toEqual(rightly(kind));
      expect(await run(NEWEST, diversion, kind, true)).toEqual(rightly(kind));
    },
  );
});

// The older one takes twice as long to start, and knows no other way.
describe.each(CLAUDE_VERSIONS)(
  'pinned settings hold the real Claude Code %s against everything at once (C17)',
  (version) => {
    it.concurrent.each(['oauth', 'api_key'] as const)('which leads it away otherwise, as %s', async (kind) => {
      expect(await run(version, EVERYTHING, kind, false)).not.toEqual(rightly(kind));
      expect(await run(version, EVERYTHING, kind, true)).toEqual(rightly(kind));
    });
  },
);
