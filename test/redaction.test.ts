import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { LIMITS } from '@outrigger/protocol';
import { describe, expect, it } from 'vitest';
import { collect, connectFleet, script } from './support/fleet.js';
import { RawClient } from './support/raw-client.js';
import { readOutput } from './support/output.js';
import { startSidecar, TOKEN } from './support/sidecar.js';

const SECRET = 'sk-ant-oat01-AbC_dEf-0123456789-xYz';
const base64 = (text: string) => Buffer.from(text).toString('base64');

describe('secrets the sidecar knows', () => {
  it('are in nothing that leaves it, in whatever form and log a run prints them (T6)', async () => {
    await using sidecar = await startSidecar({ credential: SECRET });
    await using client = await RawClient.connect(sidecar);
    const go = join(sidecar.stateDir, 'go');
    const straddling = `${'x'.repeat(LIMITS.outputFrameBytes - 10)}${SECRET}`;
    await client.dispatch('run', [
      { do: 'write', text: `one ${SECRET.slice(0, 20)}` },
      { do: 'write', to: 'stderr', text: `half ${TOKEN} and ${SECRET}\n` },
      { do: 'waitForFile', path: go },
      { do: 'write', text: `${SECRET.slice(20)} two\n` },
      { do: 'write', text: `Basic ${base64(`user:${SECRET}`)} ${base64(SECRET)}\n` },
      { do: 'write', text: `${straddling.padEnd(300_000, 'y')}\n` },
      { do: 'assistant', text: `the token is ${SECRET}` },
      { do: 'result', extra: { session_id: `x${SECRET}` } },
    ]);
    const reading = readOutput(client, 'run');
    // The first half of the secret was looked at by then.
    await client.waitFor('stderr');
    writeFileSync(go, '');
    const { stdout, stderr } = await reading;
    const { outcome, end } = await client.waitFor('outcome');

    expect(stderr.lines).toEqual(['half [redacted] and [redacted]']);
    expect(stdout.lines[0]).toBe('one [redacted] two');
    expect(stdout.lines[1]).toMatch(/^Basic \S{0,7}\[redacted\]\S{0,4} \[redacted\]\S{0,4}$/);
    const [left = '', right = ''] = stdout.lines[2]?.split('[redacted]') ?? [];
    expect([left.length, right.length]).toEqual([LIMITS.outputFrameBytes - 10, 300_000 - straddling.length]);
    expect(outcome).toMatchObject({ status: 'succeeded', result: 'the token is [redacted]', sessionId: 'x[redacted]' });
    // Offsets are those of what was printed.
    expect(stdout.frames.at(-1)?.end).toBe(end.stdout);
    const everything = JSON.stringify(client.frames);
    for (const form of [SECRET, TOKEN, base64(SECRET).slice(0, 40), SECRET.slice(0, 20), SECRET.slice(-14)]) {
      expect(everything).not.toContain(form);
    }
    expect((await readOutput(client, 'run')).stdout.lines).toEqual(stdout.lines);
  });

  it('are not in a text in base64 that is broken over lines, as tools print it (T6)', async () => {
    await using sidecar = await startSidecar({ credential: SECRET });
    await using client = await RawClient.connect(sidecar);
    const go = join(sidecar.stateDir, 'go');
    const environment = `HOME=/root\nCLAUDE_CODE_OAUTH_TOKEN=${SECRET}\nPATH=/bin\n`;
    const lines = base64(environment).match(/.{1,64}/g) ?? [];
    const [first = '', ...others] = lines;
    await client.dispatch('run', [
      { do: 'write', to: 'stderr', text: `begin\n${first}\n` },
      { do: 'waitForFile', path: go },
      { do: 'write', to: 'stderr', text: `${others.join('\n')}\nend\n` },
      { do: 'assistant', text: lines.join('\n') },
      { do: 'result', result: lines.join('\r\n') },
    ]);
    const reading = readOutput(client, 'run');
    // By then the first line was looked at.
    await client.waitFor('stderr');
    writeFileSync(go, '');
    const { stderr, stdout } = await reading;
    const { outcome } = await client.waitFor('outcome');
    expect(stderr.lines).toHaveLength(lines.length + 2);
    expect(outcome.result).toContain('[redacted]');
    const plain = (text: string) => Buffer.from(text.split('[redacted]', 1)[0] ?? '', 'base64').toString();
    expect(plain(stderr.lines.slice(1, -1).join(''))).toBe(environment.slice(0, environment.indexOf(SECRET)));
    expect(plain(outcome.result ?? '')).toBe(environment.slice(0, environment.indexOf(SECRET)));
    const everything = JSON.stringify([client.frames, stdout.lines]).replaceAll(/(\\+[rn])+/g, '');
    expect(everything).not.toContain(base64(environment).slice(64, 80));
    expect(everything).not.toContain(base64(environment).slice(80, 90));
  });

  it('are not in the message of a failure (T6)', async () => {
    await using sidecar = await startSidecar({ credential: SECRET });
    await using host = await connectFleet(sidecar);
    const execution = await host.agent.dispatch({
      prompt: script({ do: 'result', is_error: true, result: `refused: ${SECRET}` }),
    });
    expect((await execution.decided).message).toBe('refused: [redacted]');
    expect((await execution.outcome).message).toBe('refused: [redacted]');
  });

  it('do not move a cursor: from any event the rest is exactly the rest, invalid bytes included', async () => {
    await using sidecar = await startSidecar({ credential: SECRET });
    await using host = await connectFleet(sidecar);
    const execution = await host.agent.dispatch({
      prompt: script(
        { do: 'write', text: `a ${SECRET}\n${SECRET}${SECRET}\n\nünï\n` },
        { do: 'write', base64: Buffer.from([0x61, 0xff, 0xfe, 0x0a, 0xc3, 0x0a]).toString('base64') },
        { do: 'write', to: 'stderr', text: `b ${base64(SECRET)}\nplain\n` },
        { do: 'fill', lines: 3, lineBytes: 100 },
        { do: 'result' },
      ),
    });
    const printed = (await collect(execution)).filter((event) => event.type === 'message' || event.type === 'stderr');
    expect(printed).toHaveLength(12);
    const linesOf = (type: string, events: { type: string }[]) =>
      events.filter((event) => event.type === type).map((event) => (event as { line?: string }).line);
    for (const [index, { cursor }] of printed.entries()) {
      const rest = await collect(execution.events({ from: cursor }));
      for (const type of ['message', 'stderr']) {
        expect(linesOf(type, rest)).toEqual(linesOf(type, printed.slice(index + 1)));
      }
    }
  });
});
