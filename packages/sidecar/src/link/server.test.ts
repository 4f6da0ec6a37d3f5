import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CLOSE_CODES, CURSOR_START, SUBPROTOCOL } from '@outrigger/protocol';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { Credentials } from '../credentials/credentials.js';
import { ExecutionJournal } from '../journal/execution-journal.js';
import { currentRedactor } from '../redaction.js';
import { StateFolder } from '../state/folder.js';
import { environmentAccess } from '../supervision/access.js';
import { Supervisor } from '../supervision/supervisor.js';
import { fixedToken } from './authenticate.js';
import { type WelcomeFactory } from './handshake.js';
import { type Link, listen } from './server.js';

const TOKEN = 'a-control-token-for-tests';
const INTERNAL = CLOSE_CODES.internal.code;
const HELLO = { type: 'hello', versions: [1], client: { name: 'test' } };

/** What the link is given by the rest of the sidecar, made to fail at will. */
let broken: 'nothing' | 'welcome' | 'redactor';
let folder: string;
let supervisor: Supervisor;
let link: Link;
let errors: unknown[];

beforeEach(async () => {
  broken = 'nothing';
  errors = [];
  folder = mkdtempSync(join(tmpdir(), 'outrigger-link-'));
  const logger = pino({ level: 'error' }, { write: (line: string) => void errors.push(JSON.parse(line)) });
  const redactor = currentRedactor(() => []);
  const state = new StateFolder(folder, null);
  const credentials = new Credentials('env', { kind: 'api_key', id: 'test', secret: 'a-credential-for-tests' });
  supervisor = new Supervisor({
    agentId: 'agent',
    maxExecutions: 1,
    command: '/bin/echo',
    passedVariables: [],
    credentials,
    access: environmentAccess(credentials.slot, null),
    state,
    journal: ExecutionJournal.open(state.journalPath, { logger }),
    markers: [],
    runUser: null,
    redactor,
    logger,
  });
  link = await listen({
    listen: { host: '127.0.0.1', port: 0 },
    tokens: fixedToken(TOKEN),
    allowedOrigins: [],
    tls: null,
    supervisor,
    credentials,
    welcome: (refused) => {
      failIf('welcome');
      return welcome(refused);
    },
    redactor: () => {
      failIf('redactor');
      return redactor();
    },
    logger,
  });
});
afterEach(async () => {
  await link.close();
  rmSync(folder, { recursive: true });
});

function failIf(what: typeof broken): void {
  if (broken === what) throw new Error(`${what} is broken`);
}

const welcome: WelcomeFactory = (refused) => ({
  type: 'welcome',
  version: 1,
  agentId: 'agent',
  journalId: 'journal',
  bootId: 'boot',
  sidecarVersion: '0.0.0',
  claudeVersion: null,
  capabilities: [],
  killMethods: [],
  isolation: 'none',
  limits: {},
  credentialMode: 'env',
  generation: 1,
  credentialId: 'test',
  counts: supervisor.counts(),
  refused,
});

/** A client that keeps what it gets; `closed` resolves with the close code. */
async function open() {
  const socket = new WebSocket(link.url, [SUBPROTOCOL], { headers: { authorization: `Bearer ${TOKEN}` } });
  const frames: Record<string, unknown>[] = [];
  const closed = once(socket, 'close').then(([code]) => code as number);
  socket.on('message', (data: Buffer) => frames.push(JSON.parse(data.toString()) as Record<string, unknown>));
  await once(socket, 'open');
  const send = (frame: object) => socket.send(JSON.stringify(frame));
  return { send, frames, closed, nextMessage: async () => once(socket, 'message') };
}

async function connect() {
  const client = await open();
  client.send(HELLO);
  while (client.frames.at(-1)?.['type'] !== 'snapshot') await client.nextMessage();
  const ask = async (request: object) => {
    client.send({ id: 'r', ...request });
    const answered = client.frames.length;
    while (!client.frames.slice(answered).some(({ type }) => type === 'reply')) await client.nextMessage();
    return client.frames.findLast(({ type }) => type === 'reply');
  };
  return { ...client, ask };
}

describe('what fails unforeseen closes the one connection with 4500, is logged, and harms no other', () => {
  it('in a request, which is answered before', async () => {
    const [client, other] = [await connect(), await connect()];
    broken = 'welcome';
    expect(await client.ask({ type: 'status' })).toMatchObject({ ok: false, error: { code: 'internal' } });
    expect(await client.closed).toBe(INTERNAL);
    broken = 'nothing';
    expect(await other.ask({ type: 'status' })).toMatchObject({ ok: true });
    expect(errors).toMatchObject([{ err: { message: 'welcome is broken' } }]);
  });

  it('in a hello', async () => {
    const other = await connect();
    broken = 'welcome';
    const client = await open();
    client.send(HELLO);
    expect(await client.closed).toBe(INTERNAL);
    expect(client.frames).toEqual([]);
    broken = 'nothing';
    expect(await other.ask({ type: 'status' })).toMatchObject({ ok: true });
    expect(errors).toMatchObject([{ err: { message: 'welcome is broken' } }]);
  });

  it('in reading a log', async () => {
    const [client, other] = [await connect(), await connect()];
    const ended = once(supervisor, 'outcome');
    await client.ask({ type: 'dispatch', executionId: 'run', request: { prompt: 'x' } });
    await ended;
    broken = 'redactor';
    client.send({
      type: 'subscribe',
      id: 's',
      subscription: 's',
      executionId: 'run',
      from: CURSOR_START,
      creditBytes: 1000,
    });
    expect(await client.closed).toBe(INTERNAL);
    expect(client.frames.filter(({ type }) => type === 'output')).toEqual([]);
    expect(await other.ask({ type: 'status' })).toMatchObject({ ok: true });
    expect(errors).toMatchObject([{ err: { message: 'redactor is broken' } }]);
  });
});
