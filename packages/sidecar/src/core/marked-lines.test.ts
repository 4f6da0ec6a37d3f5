import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { markedLines } from './marked-lines.js';

const MARK = /"(?:a|bc)"/g;
const marked = (text: string) => markedLines(Buffer.from(text), MARK);

describe('marked lines', () => {
  it('are those in which a mark stands, in order', () => {
    expect(marked('x\n1"bc"\nx\n"a"2\n\n3"a"')).toEqual(['1"bc"', '"a"2', '3"a"']);
    expect(marked('x\n\ny\n')).toEqual([]);
    expect(marked('')).toEqual([]);
  });

  it('come once each, however many marks stand in them', () => {
    expect(marked('"bc""a""a"\n"bc"\n')).toEqual(['"bc""a""a"', '"bc"']);
  });

  it('are the same as one gets by looking at each', () => {
    const text = fc.string({ unit: fc.constantFrom('"', 'a', 'bc', '\n', '€'), maxLength: 40 });
    fc.assert(
      fc.property(text, (whole) => {
        expect(marked(whole)).toEqual(whole.split('\n').filter((line) => line.search(MARK) >= 0));
      }),
      { numRuns: 2000 },
    );
  });
});
