import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fakeClaudePath } from '@outrigger/sdk/testing';
import { afterAll, describe, expect, it } from 'vitest';
import { runSidecar, startSidecar, TOKEN } from './support/sidecar.js';

const folder = mkdtempSync(join(tmpdir(), 'outrigger-options-'));
afterAll(() => rmSync(folder, { recursive: true }));

const inFolder = (name: string) => join(folder, name);

function file(name: string, content: string): string {
  writeFileSync(inFolder(name), content);
  return inFolder(name);
}

const none = inFolder('none');
const CLAUDE = `--claude=${fakeClaudePath}`;
const SECRET = 'sk-secret-of-the-operator';

/** What is refused: flags, environment, and what the one line must say. */
const WRONG: readonly [string[], Record<string, string>, string[]][] = [
  [['--frobnicate'], {}, ['--frobnicate']],
  [['--max-execution', '3'], {}, ['--max-execution']],
  [['serve'], {}, ['serve']],
  [['--listen'], {}, ['--listen']],
  [['--listen', '7411'], {}, ['--listen', 'HOST:PORT']],
  [['--listen', '127.0.0.1'], {}, ['--listen', 'HOST:PORT']],
  [['--listen', '127.0.0.1:70000'], {}, ['--listen', '65535']],
  [['--listen', 'no.such.host.invalid:0', '--insecure'], {}, ['--listen no.such.host.invalid']],
  [['--listen', '0.0.0.0:0'], {}, ['--listen 0.0.0.0', '--insecure']],
  [['--listen', '[::]:0'], {}, ['--listen ::', '--tls-cert']],
  [[], { OUTRIGGER_LISTEN: '0.0.0.0:0' }, ['0.0.0.0', '--insecure']],
  [['--listen', '0.0.0.0:0'], { OUTRIGGER_INSECURE: 'perhaps' }, ['OUTRIGGER_INSECURE', '1 or 0']],
  [[], { OUTRIGGER_INSECURE: 'perhaps' }, ['OUTRIGGER_INSECURE', '1 or 0']],
  [['--agent-id', 'my agent'], {}, ['--agent-id']],
  [[], { OUTRIGGER_AGENT_ID: '../x' }, ['OUTRIGGER_AGENT_ID']],
  [['--max-executions', '0'], {}, ['--max-executions', 'at least 1']],
  [['--max-executions', '1001'], {}, ['--max-executions', 'at most 1000']],
  [['--max-executions', '3.5'], {}, ['--max-executions', 'whole number']],
  [['--max-executions='], {}, ['--max-executions', 'whole number']],
  [['--max-executions', '-1'], {}, ['--max-executions']],
  [[], { OUTRIGGER_MAX_EXECUTIONS: 'many' }, ['OUTRIGGER_MAX_EXECUTIONS', 'whole number']],
  [['--claude='], {}, ['--claude', 'empty']],
  [['--claude', none], {}, ['--claude', none, 'no executable file']],
  [['--claude', file('text', '#!/bin/sh')], {}, ['--claude', inFolder('text'), 'no executable file']],
  [['--claude', folder], {}, ['--claude', folder, 'no executable file']],
  [['--claude', 'no-such-claude'], {}, ['--claude', 'no-such-claude', 'PATH']],
  [[], { OUTRIGGER_CLAUDE: none }, ['--claude', none]],
  [['--upstream', 'api.example.com'], {}, ['--upstream', 'URL']],
  [['--upstream', 'ftp://api.example.com'], {}, ['--upstream', 'http']],
  [['--upstream', 'https://user:secret@api.example.com'], {}, ['--upstream', 'user']],
  [['--upstream', 'https://api.example.com/v1?beta=1'], {}, ['--upstream', 'query']],
  [['--upstream', 'https://api.example.com/#v1'], {}, ['--upstream', 'fragment']],
  [[], { OUTRIGGER_UPSTREAM: 'nowhere' }, ['OUTRIGGER_UPSTREAM']],
  [['--drain-timeout-ms', '1e3'], {}, ['--drain-timeout-ms', 'whole number']],
  [['--drain-timeout-ms', '86400001'], {}, ['--drain-timeout-ms', 'at most 86400000']],
  [['--breaker-failures', 'few'], {}, ['--breaker-failures', 'whole number']],
  [['--breaker-young-ms', '0'], {}, ['--breaker-young-ms', 'at least 1']],
  [['--breaker-cooldown-ms', '86400001'], {}, ['--breaker-cooldown-ms', 'at most 86400000']],
  [['--log-level', 'loud'], {}, ['--log-level']],
  [[], { OUTRIGGER_LOG_LEVEL: 'INFO' }, ['OUTRIGGER_LOG_LEVEL']],
  [['--allow-origin', 'ours'], {}, ['--allow-origin']],
  [['--pass-env', 'A=B'], {}, ['--pass-env', 'variable']],
  [['--pass-env', 'ANTHROPIC_API_KEY'], {}, ['--pass-env', 'credential']],
  [[], { OUTRIGGER_PASS_ENV: 'GOOD,not good' }, ['OUTRIGGER_PASS_ENV', 'not good']],
  [['--insecure=yes'], {}, ['--insecure']],
  [['--token-file', none], {}, ['--token-file', none, 'ENOENT']],
  [['--token-file', file('empty', ' \n')], {}, ['--token-file', 'no control token']],
  [['--token-file', file('short', 'abc')], {}, ['--token-file', '16 characters']],
  [['--token-file', file('three', `${TOKEN}1 ${TOKEN}2 ${TOKEN}3`)], {}, ['--token-file', 'more than 2']],
  [[], { OUTRIGGER_TOKEN: '' }, ['OUTRIGGER_TOKEN', 'no control token']],
  [[], { OUTRIGGER_TOKEN: 'short' }, ['OUTRIGGER_TOKEN', '16 characters']],
  [['--credential-file', none], {}, ['--credential-file', none, 'ENOENT']],
  [['--credential-file', folder], {}, ['--credential-file', folder, 'folder']],
  [[], { OUTRIGGER_CREDENTIAL_FILE: none }, ['OUTRIGGER_CREDENTIAL_FILE', none, 'ENOENT']],
  [['--credential-file', file('blank', '\n')], {}, ['--credential-file', 'empty']],
  [['--credential-file', file('two-lines', `${SECRET}\nmore`)], {}, ['--credential-file', 'no header']],
  [['--credential-file', file('half.json', `{"secret":"${SECRET}"`)], {}, ['--credential-file', 'JSON']],
  [['--credential-file', file('kind.json', `{"secret":"${SECRET}","kind":"x"}`)], {}, ['--credential-file', 'kind']],
  [
    ['--credential-file', file('more.json', `{"secret":"${SECRET}","kind":"oauth","x":1}`)],
    {},
    ['--credential-file', 'x'],
  ],
  [[], { CLAUDE_CODE_OAUTH_TOKEN: `${SECRET} more` }, ['CLAUDE_CODE_OAUTH_TOKEN', 'no header']],
  [['--tls-cert', file('cert', 'x')], {}, ['--tls-cert', '--tls-key']],
  [['--tls-key', file('key', 'x')], {}, ['--tls-key', '--tls-cert']],
  [['--tls-cert', none, '--tls-key', file('key', 'x')], {}, ['--tls-cert', 'ENOENT']],
  [['--tls-cert', file('cert', 'x'), '--tls-key', file('key', 'x')], {}, ['--tls-cert']],
  [['--state-dir='], {}, ['--state-dir', 'empty']],
  [[`--state-dir=${file('file', '')}`], {}, ['--state-dir', inFolder('file')]],
];

const titled = WRONG.map(([flags, env, words]) => {
  const variables = Object.entries(env).map(([name, value]) => `${name}=${value}`);
  const title = [...variables, ...flags].join(' ').replaceAll(folder, 'DIR');
  return [title, flags, env, words] as const;
});

describe('a sidecar', () => {
  it.each(titled)(
    'given %j ends with exit code 2 and one line that names it (B3)',
    async (_title, flags, env, words) => {
      const defaults = ['--listen=127.0.0.1:0', `--state-dir=${inFolder('state')}`, CLAUDE];
      // Of a flag given twice the last one counts; a variable counts only without the flag.
      const base = defaults.filter((flag) => !(`OUTRIGGER_${flag.slice(2, 8).toUpperCase()}` in env));
      const { code, stdout, stderr } = await runSidecar([...base, ...flags], { OUTRIGGER_TOKEN: TOKEN, ...env });
      expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
      const lines = stderr.trimEnd().split('\n');
      expect(lines).toHaveLength(1);
      for (const word of ['outrigger-sidecar: ', ...words]) expect(lines[0]).toContain(word);
      expect(stderr).not.toContain(SECRET);
    },
  );

  it('lets a flag win over the environment (B3)', async () => {
    await using sidecar = await startSidecar({
      args: ['--agent-id', 'by-flag'],
      env: { OUTRIGGER_AGENT_ID: 'by-variable', OUTRIGGER_MAX_EXECUTIONS: '7' },
    });
    const health = await (await fetch(`${sidecar.url.replace('ws:', 'http:')}/healthz`)).json();
    expect(health).toMatchObject({ agentId: 'by-flag', counts: { maxExecutions: 7 } });
  });

  it('serves plaintext off loopback when told to (B3)', async () => {
    await using sidecar = await startSidecar({ args: ['--listen', '0.0.0.0:0', '--insecure'] });
    expect(sidecar.url).toMatch(/^ws:\/\/0\.0\.0\.0:\d+$/);
  });

  it('prints its help and its version and ends well (B3)', async () => {
    for (const flag of ['--help', '-h']) {
      const help = await runSidecar([flag]);
      expect(help).toMatchObject({ code: 0, stderr: '' });
      expect(help.stdout).toContain('--max-executions N');
    }
    expect(await runSidecar(['--version'])).toMatchObject({ code: 0, stderr: '', stdout: '0.1.0\n' });
  });

  it('does not start on the state folder of another, which goes on (B3)', async () => {
    await using first = await startSidecar();
    const second = await runSidecar(['--listen=127.0.0.1:0', `--state-dir=${first.stateDir}`, CLAUDE], {
      OUTRIGGER_TOKEN: TOKEN,
    });
    expect(second.code).toBe(2);
    expect(second.stderr).toContain(`--state-dir ${first.stateDir}`);
    expect(second.stderr).toContain(`pid ${first.process.pid ?? ''}`);
    expect((await fetch(`${first.url.replace('ws:', 'http:')}/healthz`)).status).toBe(200);
  });

  it('starts on the state folder of one that was killed (B3)', async () => {
    const stateDir = inFolder('killed');
    {
      await using first = await startSidecar({ stateDir });
      first.process.kill('SIGKILL');
      expect(await first.exited).toMatchObject({ signal: 'SIGKILL' });
    }
    await using second = await startSidecar({ stateDir });
    expect(second.stateDir).toBe(stateDir);
  });

  it('does not start on a port in use, names it, and leaves its state folder free (B3)', async () => {
    await using first = await startSidecar();
    const address = first.url.replace('ws://', '');
    const stateDir = inFolder('port');
    const second = await runSidecar([`--listen=${address}`, `--state-dir=${stateDir}`, CLAUDE], {
      OUTRIGGER_TOKEN: TOKEN,
    });
    // Not 2, at which a keeper leaves: the port may be free in a moment.
    expect(second).toMatchObject({ code: 1, stdout: '' });
    expect(second.stderr).toContain(`--listen ${address}: the port is taken (EADDRINUSE)`);
    expect(second.stderr.trim().split('\n')).toHaveLength(1);
    await using third = await startSidecar({ stateDir });
    expect(third.stateDir).toBe(stateDir);
  });

  it('warns of a credential in a variable, and of having none (B3)', async () => {
    await using one = await startSidecar();
    await one.waitForLog((line) => line.level === 40 && line.msg.includes('CLAUDE_CODE_OAUTH_TOKEN'));
    await using other = await startSidecar({ credential: null });
    await other.waitForLog((line) => line.level === 40 && line.msg.includes('no credential'));
    await using third = await startSidecar({ env: { ANTHROPIC_API_KEY: SECRET } });
    await third.waitForLog((line) => line.level === 40 && line.msg.startsWith('ANTHROPIC_API_KEY is set as well'));
    expect(JSON.stringify(third.log)).not.toContain(SECRET);
  });
});
