import { type DispatchRequest, WireError } from '@outrigger/protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { buildArgv, checkArgs } from './argv.js';

const FIRST = ['-p', '--output-format=stream-json', '--verbose'];

describe('the arguments of a run', () => {
  it('are the least that is needed where nothing was asked for', () => {
    expect(buildArgv({ prompt: 'secret' }, { start: 'uuid' }, null)).toEqual([...FIRST, '--session-id=uuid']);
    expect(buildArgv({ prompt: 'secret' }, { resume: 'uuid' }, null)).toEqual([...FIRST, '--resume=uuid']);
  });

  it('say that an interactive run is talked to in JSON', () => {
    const argv = buildArgv({ prompt: 'secret', interactive: true }, { start: 'uuid' }, null);
    expect(argv).toEqual([...FIRST, '--input-format=stream-json', '--session-id=uuid']);
    expect(buildArgv({ prompt: 'secret', interactive: false }, { start: 'uuid' }, null)).toHaveLength(4);
  });

  it('have a flag for every field that is one, and the own flags of the caller last', () => {
    const request: DispatchRequest = {
      prompt: 'secret',
      model: 'opus',
      maxTurns: 3,
      appendSystemPrompt: 'be brief',
      permissionMode: 'plan',
      allowedTools: ['Bash(git log:*)', 'Read'],
      disallowedTools: ['Write', 'Edit'],
      settings: { secret: 1 },
      args: ['--add-dir', '/tmp'],
    };
    expect(buildArgv(request, { start: 'uuid' }, '/state/settings.json').slice(4)).toEqual([
      '--model=opus',
      '--max-turns=3',
      '--append-system-prompt=be brief',
      '--permission-mode=plan',
      '--allowedTools=Bash(git log:*),Read',
      '--disallowedTools=Write,Edit',
      '--settings',
      '/state/settings.json',
      '--add-dir',
      '/tmp',
    ]);
  });

  it('never hold the prompt, and no value that could pass for a flag', () => {
    const value = fc.string({ minLength: 1 }).map((text) => `-${text}`);
    fc.assert(
      fc.property(value, (text) => {
        const request = { prompt: `prompt ${text}`, model: text, appendSystemPrompt: text, allowedTools: [text] };
        const argv = buildArgv(request, { start: 'uuid' }, null);
        expect(argv.slice(4)).toEqual([`--model=${text}`, `--append-system-prompt=${text}`, `--allowedTools=${text}`]);
        expect(argv).not.toContain(request.prompt);
      }),
    );
  });
});

describe('arguments of a caller', () => {
  const refusal = (...args: string[]) => {
    try {
      checkArgs(args);
    } catch (error) {
      expect(error).toBeInstanceOf(WireError);
      return error as WireError;
    }
    return null;
  };

  it.each(['--print', '--output-format', '--input-format', '--verbose', '--session-id', '--resume', '--continue'])(
    'must not hold %s, with or without a value',
    (flag) => {
      expect(refusal('--add-dir', flag)?.code).toBe('invalid');
      expect(refusal(`${flag}=x`)?.message).toContain(`${flag} is not allowed`);
    },
  );

  it.each(['-p', '-r', '-c', '-rp', '-cd', '-r6f2b8c1e', '-r=x', '-pc'])(
    'must not hold %s, since a short flag can have more behind it',
    (arg) => {
      expect(refusal(arg)?.message).toContain(`${arg.slice(0, 2)} is not allowed`);
    },
  );

  it('are refused with the field that does what the flag would', () => {
    expect(refusal('--session-id=x')?.message).toBe(
      'dispatch: request.args: --session-id is not allowed; use the field "sessionId"',
    );
    expect(refusal('-rx')?.message).toContain('use the field "resume"');
    expect(refusal('--resume')?.message).toContain('use the field "resume"');
    expect(refusal('--settings', '{}')?.message).toContain('use the field "settings"');
    expect(refusal('--verbose')?.data).toEqual({
      issues: [{ path: 'request.args', message: '--verbose is not allowed; the sidecar sets it' }],
    });
  });

  it('may be anything else', () => {
    expect(refusal()).toBeNull();
    expect(
      refusal(
        '--add-dir',
        '/p',
        '-d',
        '--',
        '-',
        'p',
        'print',
        '--printer',
        'x--print',
        'x-p',
        '--model=--print',
        '-d=-p',
      ),
    ).toBeNull();
  });
});
