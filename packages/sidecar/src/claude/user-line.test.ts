import { LIMITS } from '@outrigger/protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { userLine } from './user-line.js';

const UUID_5 = /^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const parse = (line: string) => JSON.parse(line) as { uuid: string; message: { content: { text: string }[] } };

describe('what is said to a run', () => {
  it('is a message of the user on a line of its own', () => {
    const line = userLine('Go on.', 'run/1/m');
    expect(parse(line)).toEqual({
      type: 'user',
      message: { role: 'user', content: [{ type: 'text', text: 'Go on.' }] },
      uuid: expect.stringMatching(UUID_5) as string,
    });
  });

  it('is one line whatever it says, and says it word for word', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const line = userLine(text, 'name');
        expect(line.indexOf('\n')).toBe(line.length - 1);
        expect(parse(line).message.content[0]?.text).toBe(text);
      }),
    );
  });

  it('has the same id each time, and no other has it', () => {
    const idOf = (name: string) => parse(userLine('text', name)).uuid;
    expect(idOf('run/1/m')).toBe(idOf('run/1/m'));
    expect(new Set(['run/1/m', 'run/2/m', 'run/1/n', 'other/1/m'].map(idOf)).size).toBe(4);
  });

  it('fits an empty pipe where it is as long as it may be', () => {
    const longest = 'x'.repeat(LIMITS.messageBytesMax - 2);
    expect(Buffer.byteLength(userLine(longest, 'name'))).toBeLessThanOrEqual(65_536);
  });
});
